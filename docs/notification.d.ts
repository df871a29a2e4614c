// What programs get. Written by `just update` from the code, as notification.schema.json is.

/** What programs get: JSON, the same to endpoints and to topics. */
export interface Notification {
  /** The event's type, in lower case, or `correction`; the name that Standard Webhooks has for it. */
  type: string;
  /** When it happened; the name that Standard Webhooks has for it. */
  timestamp: string;
  /** The event's id: the key to recognise what comes twice. Of a correction the id of the action. */
  id: string;
  /** Bitpowr's environment. */
  environment: Environment;
  /** The event's type once more. */
  event: string;
  /** The event's family. */
  family: Family;
  /** What the event is about; null where its object has no identifier. */
  entity: EntityRef | null;
  /** For a transaction the kind as which the event counts; otherwise null. */
  kind: Kind | null;
  /** What the event did. */
  effect: Effect;
  /** The reason for the effect, in words. */
  why: string;
  /** The event's own status: `created`, `success`, `aml_flagged` … */
  status: string;
  /** Whether the events of its entity contradict each other. */
  conflict: boolean;
  /** Why the money that it speaks of counts for nothing; null where it counts, or where there is none. */
  oddity: Oddity | null;
  /** One sentence for people. */
  subject: string | null;
  /** How much, in units of the asset, with every digit. */
  amount: string | null;
  /** The asset: its type, else its identifier. */
  asset: string | null;
  /** The account that it counts for. */
  account: string | null;
  /** The sub-account. */
  sub_account: string | null;
  /** The customer. */
  customer: string | null;
  /** The customer's own reference. */
  reference: string | null;
  /** What tells customers apart where an address is shared. */
  memo: string | null;
  /** The transaction's hash on its chain. */
  hash: string | null;
  /** Where the money goes, or the address itself. */
  address: string | null;
  /** Where the money comes from. */
  from_address: string | null;
  /** The label of the address. */
  label: string | null;
  /** The customer's own identifier. */
  external_id: string | null;
  /** The key that the customer set so that the transaction is made once. */
  idempotency_key: string | null;
  /** Where a batch goes. */
  recipients: string[];
  /** What this event moved: an entry for each column of a balance; empty where it moved nothing. */
  counted: Counted[];
  /** All that the uid of `entity` counts now. */
  counts: Counts;
  /** When it happened, as the object says; otherwise when it was received. */
  occurred_at: string;
  /** When the first delivery of the event was received. */
  received_at: string;
  /** When the event was applied. */
  recorded_at: string;
  /** The object, as Bitpowr sent it; of more than 32 KiB a reference to it: `{"event_id": …}`. Its amounts may be numbers: read them as exact decimals. */
  data: Record<string, unknown>;
  /** Only in a notification that was resent on request. */
  resend?: Resend;
}

/** Which of Bitpowr's two environments something belongs to. They share nothing. */
export type Environment =
  /** Testnets; objects carry `mode: TEST`, `network: TESTNET`. */
  | "test"
  /** Mainnets; objects carry `mode: LIVE`, `network: MAINNET`. */
  | "live";

/** A family of events: one queue, one Lambda function, one folder under `functions/`. */
export type Family =
  /** `accounts.*`. */
  | "accounts"
  /** `assets.*`. */
  | "assets"
  /** `address.*`. */
  | "addresses"
  /** `customer.*`. */
  | "customers"
  /** `transaction.deposit.*`. */
  | "deposits"
  /** `transaction.transfer.*`. */
  | "transfers"
  /** `transaction.compliance.*`. */
  | "compliance"
  /** `transaction.contract.*`. */
  | "contracts"
  /** Version 1's `transaction.*`. */
  | "legacy"
  /** Authenticated, but of a type nobody knows, or unreadable. */
  | "unrecognised";

/** How an event names its entity. */
export interface EntityRef {
  /** What it is. */
  type: EntityType;
  /** Bitpowr's identifier. */
  uid: string;
}

/** The kinds of object whose state is kept. */
export type EntityType =
  /** A deposit, a transfer or a contract call. */
  | "transaction"
  /** An account. */
  | "account"
  /** An asset of an account. */
  | "asset"
  /** A receiving address. */
  | "address"
  /** A customer of the customer. */
  | "customer";

/** Which way a transaction goes. State is kept per uid and kind. */
export type Kind =
  /** Money comes in. */
  | "deposit"
  /** Money goes out. */
  | "transfer"
  /** A contract is deployed or called. */
  | "contract"
  /** No event says which way. What is said so waits until one kind is known for the uid. */
  | "unknown";

/** What an event did. */
export type Effect =
  /** It changed the state. */
  | "applied"
  /** A later step or a newer word was known already: kept, not notified. */
  | "stale"
  /** Other bytes, same state: kept, not notified; it may have added a hash or confirmations. */
  | "repeat"
  /** It contradicts what is known: kept, notified, counted for nothing until somebody has looked. */
  | "conflict"
  /** It came again although the entity has changed since, and nothing shows whether it happened again. */
  | "ambiguous"
  /** Nothing to change: kept, and notified to programs. */
  | "none";

/** Why money counts for nothing, in the order in which the first that applies is named. The names are stable. */
export type Oddity =
  /** The amount is not a decimal number: `1,5`, ` 1 `, `0x10`, `NaN`, an object … */
  | "not_a_number"
  /** The amount is below zero. */
  | "negative"
  /** The amount has more than 38 digits when written out in full. */
  | "too_long"
  /** No event names the asset. */
  | "asset_unknown"
  /** No event says which way the money goes. */
  | "direction_unknown"
  /** A contract's success: it can move money either way. */
  | "not_counted";

/** What an event moved in one column of a balance. */
export interface Counted {
  /** The account. */
  account: string;
  /** The asset. */
  asset: string;
  /** The column: `received`, `sent`, `fees` or `pending`. */
  field: "received" | "sent" | "fees" | "pending";
  /** What was added; below zero where it was taken away. */
  change: Decimal;
}

/** An exact decimal of any size, as text: a float would lose digits. */
export type Decimal = string;

/** All that a uid counts. Keep the one of the highest version for each uid, and book the difference to what you booked: then your books are right, whatever is lost, repeated or out of order. */
export interface Counts {
  /** Grows with each event of the uid, and with each correction. */
  version: number;
  /** What the transaction counts, by its kind: an internal transfer is a deposit and a transfer. */
  lines: CountLine[];
}

/** What a transaction of one kind counts. */
export interface CountLine {
  /** The kind. */
  kind: Kind;
  /** The account. */
  account: string;
  /** The asset. */
  asset: string;
  /** What it has received. */
  received: Decimal;
  /** What it has sent. */
  sent: Decimal;
  /** The fees of what it has sent. */
  fees: Decimal;
  /** What it is still to receive. */
  pending: Decimal;
}

/** By which action a notification was sent again. */
export interface Resend {
  /** The action's id. */
  id: string;
  /** When it was requested. */
  at: string;
}
