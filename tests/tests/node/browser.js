// Clients of web pages with their default settings: a URL, credentials, and no other option unless
// a comment gives a reason. Each resolves to the id of the uploaded file, and throws the message
// that it shows to its user.
//
// Credentials are `{ token }`, an access token, or `{ csrf }`, the CSRF token of a session in cookies.

import Uppy from '@uppy/core'
import UppyTus from '@uppy/tus'
import UppyXhr from '@uppy/xhr-upload'
import * as FilePond from 'filepond'
import * as tus from 'tus-js-client'

const headers = ({ token, csrf }) =>
  token ? { authorization: `Bearer ${token}` } : { 'x-csrf-token': csrf }

// Another origin gets cookies only if the client asks the browser for them.
const withCredentials = ({ csrf }) => csrf !== undefined
const sendCookies = (credentials) => (request) => {
  request.getUnderlyingObject().withCredentials = withCredentials(credentials)
}

async function withUppy(uppy, file) {
  uppy.addFile({ name: file.name, type: file.type, data: file })
  const { successful, failed } = await uppy.upload()
  if (failed.length > 0) throw new Error(failed[0].error)
  return successful[0].response.body
}

async function uppyXhr(api, credentials, file) {
  const uppy = new Uppy().use(UppyXhr, {
    endpoint: `${api}/v1/files`,
    headers: headers(credentials),
    withCredentials: withCredentials(credentials),
  })
  return (await withUppy(uppy, file)).id
}

async function uppyTus(api, credentials, file) {
  let id
  const uppy = new Uppy().use(UppyTus, {
    endpoint: `${api}/v1/uploads`,
    headers: headers(credentials),
    onBeforeRequest: sendCookies(credentials),
    onAfterResponse: (_request, response) => (id = response.getHeader('Plinth-File-Id')),
  })
  await withUppy(uppy, file)
  return id
}

const tusUpload = (api, credentials, file, options) =>
  new tus.Upload(file, {
    endpoint: `${api}/v1/uploads`,
    headers: headers(credentials),
    onBeforeRequest: sendCookies(credentials),
    metadata: { filename: file.name },
    ...options,
  })

const tusJs = (api, credentials, file, options) =>
  new Promise((resolve, reject) =>
    tusUpload(api, credentials, file, {
      onSuccess: ({ lastResponse }) => resolve(lastResponse.getHeader('Plinth-File-Id')),
      onError: reject,
      ...options,
    }).start(),
  )

// A stream that can be read once needs the number of bytes that the client buffers.
const tusJsStream = (api, credentials, file) =>
  tusJs(api, credentials, Object.assign(file.stream().getReader(), { name: file.name }), {
    uploadLengthDeferred: true,
    chunkSize: 100_000,
  })

const tusJsParallel = (api, credentials, file) =>
  tusJs(api, credentials, file, { parallelUploads: 2 })

function filePond(api, credentials, file) {
  const pond = FilePond.create({
    server: {
      url: `${api}/v1/files`,
      process: { headers: headers(credentials), withCredentials: withCredentials(credentials) },
    },
  })
  return new Promise((resolve, reject) => {
    // It keeps the answer unchanged: its hidden field contains the JSON.
    pond.onprocessfile = (error, { serverId }) =>
      error ? reject(new Error(JSON.stringify(error))) : resolve(JSON.parse(serverId).id)
    pond.addFile(file)
  })
}

// The page sends its form by script, because the native submission cannot send a token.
async function form(api, credentials, file) {
  document.body.innerHTML = `<form>
    <input type="hidden" name="_token" value="x"><input name="title" value="Grüße"><input type="file" name="photo">
  </form>`
  const chosen = new DataTransfer()
  chosen.items.add(file)
  document.querySelector('input[type=file]').files = chosen.files
  const answer = await fetch(`${api}/v1/files`, {
    method: 'POST',
    headers: headers(credentials),
    credentials: withCredentials(credentials) ? 'include' : 'omit',
    body: new FormData(document.querySelector('form')),
  })
  return (await answer.json()).id
}

const clients = { uppyXhr, uppyTus, tusJs, tusJsStream, tusJsParallel, filePond, form }

// Returns a file of this many bytes; each is the lowest byte of its offset. It is the same file
// after a reload.
const sample = (name, size) =>
  new File([Uint8Array.from({ length: size }, (_, place) => place)], name, { lastModified: 0 })

// Uploads a sample.
window.upload = (client, api, credentials, name, size) =>
  clients[client](api, credentials, sample(name, size))

// Logs in with the session in cookies and returns its credentials.
window.logIn = async (api, email, password) => {
  const answer = await fetch(`${api}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    credentials: 'include',
    body: JSON.stringify({ email, password, keep: 'cookie' }),
  })
  const { csrf_token: csrf, access_token: token } = await answer.json()
  if (!csrf || token) throw new Error(`the session is not in cookies: ${answer.status}`)
  return { csrf }
}

const CHUNK = { chunkSize: 100_000 }

// Starts an upload and resolves as soon as the server has accepted a part of it, but not the whole.
window.begin = (api, credentials, name, size) =>
  new Promise((resolve, reject) => {
    const upload = tusUpload(api, credentials, sample(name, size), {
      ...CHUNK,
      onChunkComplete: (_size, accepted) => {
        upload.abort()
        resolve(accepted)
      },
      onError: reject,
    })
    upload.start()
  })

// Continues the upload that the previous page left in the browser's storage. Resolves to the number
// of bytes that were accepted after the first chunk of this page, and the id of the file.
window.resume = async (api, credentials, name, size) => {
  let first
  return new Promise(async (resolve, reject) => {
    const upload = tusUpload(api, credentials, sample(name, size), {
      ...CHUNK,
      onChunkComplete: (_size, accepted) => (first ??= accepted),
      onSuccess: ({ lastResponse }) =>
        resolve({ first, id: lastResponse.getHeader('Plinth-File-Id') }),
      onError: reject,
    })
    const [previous] = await upload.findPreviousUploads()
    if (!previous) return reject(new Error('nothing to resume is stored'))
    upload.resumeFromPreviousUpload(previous)
    upload.start()
  })
}
