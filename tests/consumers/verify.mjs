// What Standard Webhooks' library for Node says of requests: JSON lines in, JSON lines out. `later`: how many seconds have
// passed since.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const { Webhook } = createRequire(`${process.cwd()}/`)('standardwebhooks')
const now = Date.now

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body, later } = JSON.parse(line)
  Date.now = () => now() + later * 1000
  let said = 'verified'
  try {
    new Webhook(secret).verify(body, headers)
  } catch (error) {
    said = error.message
  }
  console.log(JSON.stringify(said))
}
