// What the client makes of answers that end in their midst, never end, or are no JSON.
import { createServer } from 'node:http'
import { createClient } from '@supabase/supabase-js'
import { createMemoria } from './memoria.js'

const answers = {
  cut: (answer) => answer.write('{"person_id": "x", "na', () => answer.destroy()),
  slow: (answer) => answer.write('{"person_id": "x", "na'),
  page: (answer) => answer.end('<html>Welcome to our network</html>'),
  half: (answer) => answer.end('{"person_id": '),
  broken: (answer) => answer.writeHead(502).end('<html>Bad gateway</html>'),
  empty: (answer) => answer.end(),
}
const server = createServer(({ url }, answer) => answers[url.split('/')[1]](answer))
await new Promise((ready) => server.listen(0, '127.0.0.1', ready))
const told = {}
for (const name of Object.keys(answers)) {
  const url = `http://127.0.0.1:${server.address().port}/${name}`
  const plain = createMemoria({ url, key: 'k', timeoutMs: 500 })
  const clients = name === 'slow' ? [plain] : [plain, createMemoria({ supabase: createClient(url, 'k') })]
  told[name] = await Promise.all(clients.map((client) =>
    client.renamePerson({ person_id: 'x', name: 'Ann' }).catch(({ code }) => code)))
}
console.log(JSON.stringify(told))
process.exit(0)
