// Clients that pages use, with their stock settings: an address, a token, and nothing else unless a comment says why.
// Each resolves to the id of the file that the upload became, and throws what it shows to its user.

import Uppy from '@uppy/core'
import UppyTus from '@uppy/tus'
import UppyXhr from '@uppy/xhr-upload'
import * as FilePond from 'filepond'
import * as tus from 'tus-js-client'

const bearer = (token) => ({ authorization: `Bearer ${token}` })

async function withUppy(uppy, file) {
  uppy.addFile({ name: file.name, type: file.type, data: file })
  const { successful, failed } = await uppy.upload()
  if (failed.length > 0) throw new Error(failed[0].error)
  return successful[0].response.body
}

async function uppyXhr(api, token, file) {
  const uppy = new Uppy().use(UppyXhr, { endpoint: `${api}/v1/files`, headers: bearer(token) })
  return (await withUppy(uppy, file)).id
}

async function uppyTus(api, token, file) {
  let id
  const uppy = new Uppy().use(UppyTus, {
    endpoint: `${api}/v1/uploads`,
    headers: bearer(token),
    onAfterResponse: (_request, response) => (id = response.getHeader('Plinth-File-Id')),
  })
  await withUppy(uppy, file)
  return id
}

function tusJs(api, token, file, options) {
  return new Promise((resolve, reject) =>
    new tus.Upload(file, {
      endpoint: `${api}/v1/uploads`,
      headers: bearer(token),
      metadata: { filename: file.name },
      onSuccess: ({ lastResponse }) => resolve(lastResponse.getHeader('Plinth-File-Id')),
      onError: reject,
      ...options,
    }).start(),
  )
}

// A stream that is read once needs to be told how much of it the client keeps.
const tusJsStream = (api, token, file) =>
  tusJs(api, token, Object.assign(file.stream().getReader(), { name: file.name }), {
    uploadLengthDeferred: true,
    chunkSize: 100_000,
  })

const tusJsParallel = (api, token, file) => tusJs(api, token, file, { parallelUploads: 2 })

function filePond(api, token, file) {
  const pond = FilePond.create({
    server: { url: `${api}/v1/files`, headers: bearer(token) },
  })
  return new Promise((resolve, reject) => {
    // It keeps the answer as it is: its hidden field has the whole JSON.
    pond.onprocessfile = (error, { serverId }) =>
      error ? reject(new Error(JSON.stringify(error))) : resolve(JSON.parse(serverId).id)
    pond.addFile(file)
  })
}

// What a page sends of its own form; the form's own submission cannot carry a token.
async function form(api, token, file) {
  document.body.innerHTML = `<form>
    <input type="hidden" name="_token" value="x"><input name="title" value="Grüße"><input type="file" name="photo">
  </form>`
  const chosen = new DataTransfer()
  chosen.items.add(file)
  document.querySelector('input[type=file]').files = chosen.files
  const body = new FormData(document.querySelector('form'))
  const answer = await fetch(`${api}/v1/files`, { method: 'POST', headers: bearer(token), body })
  return (await answer.json()).id
}

const clients = { uppyXhr, uppyTus, tusJs, tusJsStream, tusJsParallel, filePond, form }

// Uploads so many bytes, each the lowest byte of its place.
window.upload = (client, api, token, name, size) =>
  clients[client](api, token, new File([Uint8Array.from({ length: size }, (_, place) => place)], name))
