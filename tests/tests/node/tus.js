// Uploads a file with tus-js-client and keeps in a file where it goes, so that another process can go on with it.
// Arguments: the endpoint, a token, the file, the file of kept URLs, and as JSON more of the client's options.
// A line to standard output for each thing that happens: `resumed`, `accepted BYTES`, `done FILE_ID`, `refused STATUS`.

import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'

// From NODE_PATH, which imports do not look at.
const tus = createRequire(import.meta.url)('tus-js-client')

const [endpoint, token, file, kept, options] = process.argv.slice(2)

const upload = new tus.Upload(createReadStream(file), {
  endpoint,
  headers: { authorization: `Bearer ${token}` },
  chunkSize: 3 * 1024 * 1024,
  metadata: { filename: 'Grüße.bin' },
  retryDelays: null,
  urlStorage: new tus.FileUrlStorage(kept),
  onChunkComplete: (_size, accepted) => console.log(`accepted ${accepted}`),
  onSuccess: ({ lastResponse }) => console.log(`done ${lastResponse.getHeader('Plinth-File-Id')}`),
  onError: (error) => {
    console.log(`refused ${error.originalResponse?.getStatus()}`)
    console.error(error)
    process.exitCode = 1
  },
  ...JSON.parse(options),
})

const [previous] = await upload.findPreviousUploads()
if (previous) {
  console.log('resumed')
  upload.resumeFromPreviousUpload(previous)
}
upload.start()
