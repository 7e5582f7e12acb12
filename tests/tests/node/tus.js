// Uploads a file with tus-js-client. It keeps the URL of the upload in a file, so that another
// process can continue.
// Arguments: the endpoint, a token, the file, the file of URLs, and more options of the client as
// JSON.
// Prints one line for each event: `resumed`, `accepted BYTES`, `done FILE_ID`, `refused STATUS`.

import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'

// From NODE_PATH, which `import` does not use.
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
