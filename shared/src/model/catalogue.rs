//! The closed list of event types (source: Bitpowr's documentation, "Webhooks · Overview", list of event
//! types) and the families that handle them.
//!
//! Samples, documentation and tests are generated from, or checked against, this list: an event that is
//! added here does not compile without its sample.

use std::fmt;

use super::lifecycle::Step;
use super::meaning::Word;

/// Calls the macro `$with` with every event type: `Variant "name" Family;` in the order of the
/// families, and within a family in the order of life.
#[macro_export]
macro_rules! for_each_event {
    ($with:ident) => {
        $with! {
            AccountsCreated "accounts.created" Accounts;
            AccountsUpdated "accounts.updated" Accounts;
            AccountsPolicyUpdated "accounts.policy.updated" Accounts;
            AccountsFrozen "accounts.frozen" Accounts;
            AccountsArchived "accounts.archived" Accounts;
            AssetsCreated "assets.created" Assets;
            AddressCreated "address.created" Addresses;
            AddressUpdated "address.updated" Addresses;
            AddressFlagged "address.flagged" Addresses;
            AddressBlocked "address.blocked" Addresses;
            CustomerCreated "customer.created" Customers;
            CustomerUpdated "customer.updated" Customers;
            CustomerAttachedToAddress "customer.attached_to_address" Customers;
            CustomerDeleted "customer.deleted" Customers;
            DepositCreated "transaction.deposit.created" Deposits;
            DepositPending "transaction.deposit.pending" Deposits;
            DepositAwaitingConfirmation "transaction.deposit.awaiting_confirmation" Deposits;
            DepositSuccess "transaction.deposit.success" Deposits;
            DepositAmlFlagged "transaction.deposit.aml_flagged" Deposits;
            TransferCreated "transaction.transfer.created" Transfers;
            TransferApproved "transaction.transfer.approved" Transfers;
            TransferApprovedByCounterparty "transaction.transfer.approved_by_counterparty" Transfers;
            TransferAwaitingConfirmation "transaction.transfer.awaiting_confirmation" Transfers;
            TransferSuccess "transaction.transfer.success" Transfers;
            TransferFailed "transaction.transfer.failed" Transfers;
            TransferCancelled "transaction.transfer.cancelled" Transfers;
            TransferRejected "transaction.transfer.rejected" Transfers;
            TransferRejectedByCounterparty "transaction.transfer.rejected_by_counterparty" Transfers;
            TransferDropped "transaction.transfer.dropped" Transfers;
            ComplianceAmlFlag "transaction.compliance.aml_flag" Compliance;
            ContractDeploymentSuccess "transaction.contract.deployment.success" Contracts;
            ContractDeploymentFailed "transaction.contract.deployment.failed" Contracts;
            ContractInteractionSuccess "transaction.contract.interaction.success" Contracts;
            ContractInteractionFailed "transaction.contract.interaction.failed" Contracts;
            LegacyIncoming "transaction.incoming" Legacy;
            LegacyNew "transaction.new" Legacy;
            LegacyPendingApproval "transaction.pending_approval" Legacy;
            LegacyPending "transaction.pending" Legacy;
            LegacyProcessing "transaction.processing" Legacy;
            LegacyQueue "transaction.queue" Legacy;
            LegacyAwaitingConfirmation "transaction.awaiting_confirmation" Legacy;
            LegacySuccess "transaction.success" Legacy;
            LegacyFailed "transaction.failed" Legacy;
        }
    };
}

macro_rules! define {
    ($($variant:ident $name:literal $family:ident;)*) => {
        crate::names! {
            /// An event type that Bitpowr documents.
            "event type" EventType {
                $(#[doc = concat!("`", $name, "`")] $variant $name;)*
            }
        }

        impl EventType {
            /// The family that handles it.
            pub fn family(self) -> Family {
                match self { $(Self::$variant => Family::$family),* }
            }
        }
    };
}
for_each_event!(define);

impl EventType {
    /// The event's own last word: `created`, `success`, `aml_flagged` …
    pub fn last_word(self) -> &'static str {
        last_word(self.as_str())
    }

    /// Whether the same thing can happen to the same object twice, with equal content: an account may be
    /// frozen again, but nothing is created or deleted twice, and a transaction lives once.
    pub fn recurs(self) -> bool {
        match self.family() {
            Family::Accounts | Family::Addresses => self.last_word() != "created",
            Family::Customers => !matches!(self.last_word(), "created" | "deleted"),
            _ => false,
        }
    }
}

fn last_word(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The name of an event as a body gives it, documented or not. It is read without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventName {
    written: String,
    name: String,
}

impl EventName {
    /// Takes any text: Bitpowr may send types that nobody knows yet.
    pub fn new(written: impl Into<String>) -> Self {
        let written = written.into();
        Self { name: written.to_lowercase(), written }
    }

    /// The name as it came: part of the event's identity.
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The documented type of this name.
    pub fn known(&self) -> Option<EventType> {
        self.name.parse().ok()
    }

    /// The event's own last word: what follows the last dot.
    pub fn last_word(&self) -> &str {
        last_word(&self.name)
    }

    /// What the last word is. Of transactions, every word for a step is that step, in any of their families.
    pub fn word(&self) -> Word {
        match (self.family(), self.last_word()) {
            (Family::Accounts | Family::Assets | Family::Addresses | Family::Customers, _) => {
                self.known().map_or(Word::Unknown, Word::Object)
            }
            (Family::Unrecognised, _) => Word::Unknown,
            (_, "aml_flagged" | "aml_flag") => Word::Flag,
            (Family::Compliance, _) => Word::Unknown,
            (Family::Deposits | Family::Transfers | Family::Contracts | Family::Legacy, word) => {
                Step::named(word).map_or(Word::Unknown, Word::Step)
            }
        }
    }

    /// The name where it is short and plain enough for a message attribute: `[a-z0-9._]{1,64}`.
    pub fn plain(&self) -> Option<&str> {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_');
        Some(self.as_str()).filter(|name| (1..=64).contains(&name.len()) && name.bytes().all(plain))
    }

    /// The family that handles events of this name. An unknown type inside a known family goes to that
    /// family; everything else is `unrecognised`.
    pub fn family(&self) -> Family {
        if let Some(known) = self.known() {
            return known.family();
        }
        let prefixes = [
            ("accounts.", Family::Accounts),
            ("assets.", Family::Assets),
            ("address.", Family::Addresses),
            ("customer.", Family::Customers),
            ("transaction.deposit.", Family::Deposits),
            ("transaction.transfer.", Family::Transfers),
            ("transaction.compliance.", Family::Compliance),
            ("transaction.contract.", Family::Contracts),
        ];
        let prefixed = prefixes.into_iter().find(|(prefix, _)| self.name.starts_with(prefix));
        // Version 1 names have two words.
        let legacy = || self.name.strip_prefix("transaction.").is_some_and(|rest| !rest.contains('.'));
        match prefixed {
            Some((_, family)) => family,
            None if legacy() => Family::Legacy,
            None => Family::Unrecognised,
        }
    }
}

impl From<EventType> for EventName {
    fn from(event: EventType) -> Self {
        Self::new(event.as_str())
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

crate::names! {
    /// A family of events: one queue, one Lambda function, one folder under `functions/`.
    "family" Family {
        /// `accounts.*`.
        Accounts "accounts";
        /// `assets.*`.
        Assets "assets";
        /// `address.*`.
        Addresses "addresses";
        /// `customer.*`.
        Customers "customers";
        /// `transaction.deposit.*`.
        Deposits "deposits";
        /// `transaction.transfer.*`.
        Transfers "transfers";
        /// `transaction.compliance.*`.
        Compliance "compliance";
        /// `transaction.contract.*`.
        Contracts "contracts";
        /// Version 1's `transaction.*`.
        Legacy "legacy";
        /// Authenticated, but of a type nobody knows, or unreadable.
        Unrecognised "unrecognised";
    }
}

impl Family {
    /// Under which names the object of an event may lie one level deeper in `data`.
    pub fn objects(self) -> &'static [&'static str] {
        match self {
            Self::Accounts => &["account", "data"],
            Self::Assets => &["asset", "data"],
            Self::Addresses => &["address", "data"],
            Self::Customers => &["customer", "data"],
            Self::Deposits
            | Self::Transfers
            | Self::Compliance
            | Self::Contracts
            | Self::Legacy
            | Self::Unrecognised => &["transaction", "deposit", "transfer", "contract", "data"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_34_types_of_version_2_and_9_of_version_1() {
        let (legacy, others): (Vec<_>, Vec<_>) =
            EventType::ALL.into_iter().partition(|event| event.family() == Family::Legacy);
        assert_eq!((others.len(), legacy.len()), (34, 9));
    }

    #[test]
    fn names_are_unique_plain_and_read_back() {
        for event in EventType::ALL {
            assert_eq!(event.as_str().parse::<EventType>().unwrap(), event);
            assert!(EventName::new(event.as_str()).plain().is_some());
        }
    }

    #[test]
    fn unknown_types_go_to_the_family_they_belong_to() {
        let family = |name: &str| EventName::new(name).family();
        assert_eq!(family("transaction.deposit.frobnicated"), Family::Deposits);
        assert_eq!(family("transaction.contract.upgrade.success"), Family::Contracts);
        assert_eq!(family("transaction.frobnicated"), Family::Legacy);
        assert_eq!(family("transaction.swap.success"), Family::Unrecognised);
        assert_eq!(family("accounts"), Family::Unrecognised);
        assert_eq!(family("Accounts.Created"), Family::Accounts);
    }

    #[test]
    fn only_short_plain_names_become_attributes() {
        let plain = |name: &str| EventName::new(name).plain().is_some();
        assert!(plain("a.b_c9"));
        for name in ["", "a b", "ä", "a\u{0}", &"x".repeat(65)] {
            assert!(!plain(name), "{name}");
        }
    }
}
