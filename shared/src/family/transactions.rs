//! How the families of transactions speak to people: of one transaction in the same words, whichever of them heard of it.

use crate::model::lifecycle::{Outcome, Step};
use crate::model::{Fact, Kind, Oddity, Word, Words};
use crate::notice::Notice;

/// What people read of a transaction.
pub fn words(notice: &Notice<'_>) -> Words {
    let noun = match notice.kind {
        Some(Kind::Deposit) => "Deposit",
        Some(Kind::Transfer) => "Transfer",
        Some(Kind::Contract) => "Contract call",
        Some(Kind::Unknown) | None => "Transaction",
    };
    let sentence = format!("{noun} of {} {}", notice.amount(), happened(notice));
    say(notice, &sentence)
}

/// A sentence about a transaction, and whether its money counts.
pub fn say(notice: &Notice<'_>, sentence: &str) -> Words {
    let ended = matches!(notice.word, Word::Step(step) if step.outcome() == Outcome::Failure);
    let sentence = match notice.oddity.filter(|_| !ended && !notice.conflict) {
        Some(oddity) => format!("{sentence}, but is not counted: {}", oddity.describe()),
        None => sentence.to_owned(),
    };
    notice.say(
        &sentence,
        &[
            ("Amount", Fact::Amount),
            ("Asset", Fact::Asset),
            ("Asset id", Fact::AssetId),
            ("Fee", Fact::Fee),
            ("Chain", Fact::Chain),
            ("Account", Fact::AccountId),
            ("Wallet", Fact::WalletId),
            ("Sub-account", Fact::SubAccountId),
            ("Customer", Fact::Customer),
            ("From", Fact::FromAddress),
            ("Sender", Fact::SenderAddress),
            ("To", Fact::Address),
            ("To", Fact::Recipients),
            ("Label", Fact::Label),
            ("Memo", Fact::Memo),
            ("Reference", Fact::Reference),
            ("Idempotency key", Fact::IdempotencyKey),
            ("External id", Fact::ExternalId),
            ("Hash", Fact::Hash),
            ("Error", Fact::Error),
        ],
    )
}

fn happened(notice: &Notice<'_>) -> String {
    let counts = notice.oddity.is_none_or(|oddity| oddity == Oddity::NotCounted);
    let step = match notice.word {
        Word::Flag => return "was flagged by AML screening".to_owned(),
        Word::Object(_) | Word::Unknown => {
            return format!("has an event {} that is not understood", notice.event);
        }
        Word::Step(step) => step,
    };
    let happened = match (step, notice.kind) {
        (Step::Created, Some(Kind::Deposit)) => "was announced",
        (Step::Created, _) => "was created",
        (Step::PendingApproval, _) => "awaits approval",
        (Step::Approved, _) => "was approved",
        (Step::ApprovedByCounterparty, _) => "was approved by the counterparty",
        (Step::Pending, _) => "is pending",
        (Step::Processing, _) => "is being processed",
        (Step::Queue, _) => "is queued",
        (Step::PreBroadcast, _) => "is about to be broadcast",
        (Step::Broadcasted, _) => "was broadcast",
        (Step::Stuck, _) => "is stuck",
        (Step::AwaitingConfirmation, _) => "awaits confirmation",
        (Step::Success, Some(Kind::Deposit)) if counts => "has arrived",
        (Step::Success, Some(Kind::Transfer)) if counts => "has been sent",
        (Step::Success, _) => "succeeded",
        (Step::Rejected, _) => "was rejected",
        (Step::RejectedByCounterparty, _) => "was rejected by the counterparty",
        (Step::Cancelled, _) => "was cancelled",
        (Step::Dropped, _) => "was dropped",
        (Step::Failed, _) => "failed",
    };
    happened.to_owned()
}
