// A service that gets Bitpowr's events from an endpoint, and keeps books that equal the receiver's. ../README.md says why it
// is as it is.
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import Big from 'big.js'
import Database from 'libsql' // better-sqlite3 has the same API.
import { Webhook } from 'standardwebhooks'

const { WEBHOOK_SECRET, BITPOWR_TOKEN, PORT = '3000', DATABASE = 'books.db' } = process.env
const BITPOWR_API = process.env.BITPOWR_API ?? 'https://developers.bitpowr.com/api/v1'
Big.strict = true // A number of JavaScript is refused: it has lost digits already.

const db = new Database(DATABASE)
db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS received (id TEXT PRIMARY KEY);
  CREATE TABLE IF NOT EXISTS booked (environment TEXT, uid TEXT, version INTEGER, lines TEXT, hold TEXT,
    PRIMARY KEY (environment, uid));
  CREATE TABLE IF NOT EXISTS balances (environment TEXT, account TEXT, asset TEXT, received TEXT, sent TEXT, fees TEXT,
    pending TEXT, PRIMARY KEY (environment, account, asset))`)
const find = db.prepare('SELECT * FROM booked WHERE environment = ? AND uid = ?')
const balance = db.prepare('SELECT * FROM balances WHERE environment = ? AND account = ? AND asset = ?')
const NOTHING = { received: '0', sent: '0', fees: '0', pending: '0' }

// What changes the books is one transaction: killed at any time, it has happened or not.
const book = db.transaction((id, { environment, entity, counts, conflict, oddity }) => {
  const isNew = db.prepare('INSERT OR IGNORE INTO received VALUES (?)').run(id).changes > 0
  if (!isNew || entity?.type !== 'transaction') return
  const before = find.get(environment, entity.uid)
  if (before && before.version >= counts.version) return // It was overtaken.
  for (const line of JSON.parse(before?.lines ?? '[]')) add(environment, line, 'minus')
  for (const line of counts.lines) add(environment, line, 'plus')
  db.prepare('INSERT OR REPLACE INTO booked VALUES (?, ?, ?, ?, ?)').run(
    environment, entity.uid, counts.version, JSON.stringify(counts.lines), conflict ? 'conflict' : oddity)
})

function add(environment, line, operation) {
  const known = balance.get(environment, line.account, line.asset) ?? NOTHING
  const sums = Object.keys(NOTHING).map(column => Big(known[column])[operation](line[column]).toFixed())
  db.prepare('INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?, ?, ?, ?)').run(environment, line.account, line.asset, ...sums)
}

// Why a deposit must not be paid out; null if it may. What webhooks say is not enough: a secret can leak.
export async function reasonNotToPayOut(environment, uid) {
  const { lines, hold } = find.get(environment, uid) ?? {}
  const line = JSON.parse(lines ?? '[]').find(line => line.kind === 'deposit' && Big(line.received).gt('0'))
  if (hold || !line) return hold ?? 'nothing was received'
  const answer = await fetch(`${BITPOWR_API}/transactions/${encodeURIComponent(uid)}`, {
    headers: { authorization: `Bearer ${BITPOWR_TOKEN}` }, signal: AbortSignal.timeout(10_000) })
  if (!answer.ok) return `Bitpowr answered ${answer.status}`
  // An amount can be a JSON number: as text it keeps its digits.
  const body = JSON.parse((await answer.text()).replace(/"amount"\s*:\s*(-?\d[\d.eE+-]*)/g, '"amount":"$1"'))
  const { status, amount, assetType, assetId, accountId, walletId, subAccountId } = body.data ?? body
  if (String(status).toLowerCase() !== 'success') return `Bitpowr says that it is ${status}`
  if (!Big(amount).eq(line.received)) return `Bitpowr says that the amount is ${amount}`
  const [asset, account] = [assetType ?? assetId, accountId ?? walletId ?? subAccountId]
  if (asset !== line.asset || account !== line.account) return `Bitpowr says that it is ${asset} of ${account}`
  return null
}

const webhook = new Webhook(WEBHOOK_SECRET)
const server = createServer(async (request, response) => {
  const answer = status => response.writeHead(status).end()
  try {
    const chunks = []
    for await (const chunk of request) if (chunks.push(chunk) > 1000) return answer(413)
    // The bytes as they came: JSON that was parsed and written again has another signature.
    const notification = webhook.verify(Buffer.concat(chunks), request.headers)
    book(request.headers['webhook-id'], notification)
    answer(204) // Only now: whatever has no 2xx comes again.
  } catch (error) {
    console.error(error.message)
    answer(error.name === 'WebhookVerificationError' ? 401 : 500)
  }
})
if (process.argv[1] === fileURLToPath(import.meta.url)) server.listen(Number(PORT), '127.0.0.1')
