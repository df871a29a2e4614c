//! The closed list of event types (source: Bitpowr's documentation, "Webhooks · Overview", list of event
//! types) and the families that handle them.
//!
//! Samples, documentation and tests are generated from, or checked against, this list: an event that is
//! added here does not compile without its sample.

use std::fmt;
use std::str::FromStr;

/// Calls the macro `$with` with every event type: `Variant "name" version Family;` in the order of the
/// families, and within a family in the order of life.
#[macro_export]
macro_rules! for_each_event {
    ($with:ident) => {
        $with! {
            AccountsCreated "accounts.created" V2 Accounts;
            AccountsUpdated "accounts.updated" V2 Accounts;
            AccountsPolicyUpdated "accounts.policy.updated" V2 Accounts;
            AccountsFrozen "accounts.frozen" V2 Accounts;
            AccountsArchived "accounts.archived" V2 Accounts;
            AssetsCreated "assets.created" V2 Assets;
            AddressCreated "address.created" V2 Addresses;
            AddressUpdated "address.updated" V2 Addresses;
            AddressFlagged "address.flagged" V2 Addresses;
            AddressBlocked "address.blocked" V2 Addresses;
            CustomerCreated "customer.created" V2 Customers;
            CustomerUpdated "customer.updated" V2 Customers;
            CustomerAttachedToAddress "customer.attached_to_address" V2 Customers;
            CustomerDeleted "customer.deleted" V2 Customers;
            DepositCreated "transaction.deposit.created" V2 Deposits;
            DepositPending "transaction.deposit.pending" V2 Deposits;
            DepositAwaitingConfirmation "transaction.deposit.awaiting_confirmation" V2 Deposits;
            DepositSuccess "transaction.deposit.success" V2 Deposits;
            DepositAmlFlagged "transaction.deposit.aml_flagged" V2 Deposits;
            TransferCreated "transaction.transfer.created" V2 Transfers;
            TransferApproved "transaction.transfer.approved" V2 Transfers;
            TransferApprovedByCounterparty "transaction.transfer.approved_by_counterparty" V2 Transfers;
            TransferAwaitingConfirmation "transaction.transfer.awaiting_confirmation" V2 Transfers;
            TransferSuccess "transaction.transfer.success" V2 Transfers;
            TransferFailed "transaction.transfer.failed" V2 Transfers;
            TransferCancelled "transaction.transfer.cancelled" V2 Transfers;
            TransferRejected "transaction.transfer.rejected" V2 Transfers;
            TransferRejectedByCounterparty "transaction.transfer.rejected_by_counterparty" V2 Transfers;
            TransferDropped "transaction.transfer.dropped" V2 Transfers;
            ComplianceAmlFlag "transaction.compliance.aml_flag" V2 Compliance;
            ContractDeploymentSuccess "transaction.contract.deployment.success" V2 Contracts;
            ContractDeploymentFailed "transaction.contract.deployment.failed" V2 Contracts;
            ContractInteractionSuccess "transaction.contract.interaction.success" V2 Contracts;
            ContractInteractionFailed "transaction.contract.interaction.failed" V2 Contracts;
            LegacyIncoming "transaction.incoming" V1 Legacy;
            LegacyNew "transaction.new" V1 Legacy;
            LegacyPendingApproval "transaction.pending_approval" V1 Legacy;
            LegacyPending "transaction.pending" V1 Legacy;
            LegacyProcessing "transaction.processing" V1 Legacy;
            LegacyQueue "transaction.queue" V1 Legacy;
            LegacyAwaitingConfirmation "transaction.awaiting_confirmation" V1 Legacy;
            LegacySuccess "transaction.success" V1 Legacy;
            LegacyFailed "transaction.failed" V1 Legacy;
        }
    };
}

/// Which of Bitpowr's two generations of webhooks an event type belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The older set, `transaction.*`; Bitpowr announced its end for the end of 2024.
    V1,
    /// The present set.
    V2,
}

macro_rules! define {
    ($($variant:ident $name:literal $version:ident $family:ident;)*) => {
        /// An event type that Bitpowr documents.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventType {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl EventType {
            /// Every documented event type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The type as the body names it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The generation of webhooks it belongs to.
            pub fn version(self) -> Version {
                match self { $(Self::$variant => Version::$version),* }
            }

            /// The family that handles it.
            pub fn family(self) -> Family {
                match self { $(Self::$variant => Family::$family),* }
            }
        }
    };
}
for_each_event!(define);

/// No documented event type has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown event type")]
pub struct UnknownEvent;

impl FromStr for EventType {
    type Err = UnknownEvent;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|known| known.name() == name).ok_or(UnknownEvent)
    }
}

impl EventType {
    /// The event's own last word: `created`, `success`, `aml_flagged` …
    pub fn last_word(self) -> &'static str {
        last_word(self.name())
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

/// The name of an event as a body gives it, documented or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventName(String);

impl EventName {
    /// Takes any text: Bitpowr may send types that nobody knows yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name, as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The documented type of this name.
    pub fn known(&self) -> Option<EventType> {
        self.0.parse().ok()
    }

    /// The event's own last word: what follows the last dot.
    pub fn last_word(&self) -> &str {
        last_word(&self.0)
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
        let prefixed = prefixes.into_iter().find(|(prefix, _)| self.0.starts_with(prefix));
        // Version 1 names have two words.
        let legacy = || self.0.strip_prefix("transaction.").is_some_and(|rest| !rest.contains('.'));
        match prefixed {
            Some((_, family)) => family,
            None if legacy() => Family::Legacy,
            None => Family::Unrecognised,
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! families {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// A family of events: one queue, one Lambda function, one folder under `functions/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Family {
            $(#[doc = $doc] $variant,)*
        }

        impl Family {
            /// Every family.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The family's name: its folder, its queue, its field in an event.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

families! {
    Accounts "accounts" "`accounts.*`";
    Assets "assets" "`assets.*`";
    Addresses "addresses" "`address.*`";
    Customers "customers" "`customer.*`";
    Deposits "deposits" "`transaction.deposit.*`";
    Transfers "transfers" "`transaction.transfer.*`";
    Compliance "compliance" "`transaction.compliance.*`";
    Contracts "contracts" "`transaction.contract.*`";
    Legacy "legacy" "Version 1's `transaction.*`";
    Unrecognised "unrecognised" "Authenticated, but of a type nobody knows, or unreadable";
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No family has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown family")]
pub struct UnknownFamily;

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name).ok_or(UnknownFamily)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_34_types_of_version_2_and_9_of_version_1() {
        let of = |version| EventType::ALL.iter().filter(|event| event.version() == version).count();
        assert_eq!((of(Version::V2), of(Version::V1)), (34, 9));
    }

    #[test]
    fn names_are_unique_plain_and_read_back() {
        for event in EventType::ALL {
            assert_eq!(event.name().parse::<EventType>().unwrap(), *event);
            assert!(EventName::new(event.name()).plain().is_some());
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
        assert_eq!(family("Accounts.created"), Family::Unrecognised);
    }

    #[test]
    fn only_short_plain_names_become_attributes() {
        let plain = |name: &str| EventName::new(name).plain().is_some();
        assert!(plain("a.b_c9"));
        for name in ["", "A", "a b", "ä", "a\u{0}", &"x".repeat(65)] {
            assert!(!plain(name), "{name}");
        }
    }
}
