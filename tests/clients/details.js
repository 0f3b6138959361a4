// What the client makes of PostgREST's `details`: JSON where Memoria wrote it, else PostgreSQL's words.
import { createServer } from 'node:http'
import { createClient } from '@supabase/supabase-js'
import { createMemoria } from './memoria.js'

const told = {
  consent: ['PT403', '{"code": "consent_required"}'],
  merged: ['PT409', '{"is_now": "p1", "name": "Ann"}'],
  words: ['23503', 'Key (event_id)=(x) is not present in table "events".'],
  number: ['PT409', '5'],
  nothing: ['PT404', null],
}
const server = createServer(({ url }, answer) => {
  const [code, details] = told[url.split('/')[1]]
  const body = JSON.stringify({ code, details, hint: null, message: 'No.' })
  answer.writeHead(400, { 'Content-Type': 'application/json' }).end(body)
})
await new Promise((ready) => server.listen(0, '127.0.0.1', ready))
const heard = {}
for (const name of Object.keys(told)) {
  const url = `http://127.0.0.1:${server.address().port}/${name}`
  const clients = [createMemoria({ url, key: 'k' }), createMemoria({ supabase: createClient(url, 'k') })]
  heard[name] = await Promise.all(clients.map((client) =>
    client.photo({ media_id: 'x' }).catch(({ code, details }) => [code, details])))
}
console.log(JSON.stringify(heard))
process.exit(0)
