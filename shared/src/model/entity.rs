//! What an event is about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kinds of object whose state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityType {
    /// A deposit, a transfer or a contract call.
    Transaction,
    /// An account.
    Account,
    /// An asset of an account.
    Asset,
    /// A receiving address.
    Address,
    /// A customer of the customer.
    Customer,
}

impl EntityType {
    /// Every type.
    pub const ALL: [Self; 5] = [Self::Transaction, Self::Account, Self::Asset, Self::Address, Self::Customer];

    /// The name in keys and in `entity.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Account => "account",
            Self::Asset => "asset",
            Self::Address => "address",
            Self::Customer => "customer",
        }
    }

    /// The name in paths: `/api/{environment}/transactions/{uid}`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Transaction => "transactions",
            Self::Account => "accounts",
            Self::Asset => "assets",
            Self::Address => "addresses",
            Self::Customer => "customers",
        }
    }
}

impl fmt::Display for EntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No entity type has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown entity type")]
pub struct UnknownEntityType;

impl FromStr for EntityType {
    type Err = UnknownEntityType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.as_str() == name).ok_or(UnknownEntityType)
    }
}

/// Which way a transaction goes. State is kept per uid and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Money comes in.
    Deposit,
    /// Money goes out.
    Transfer,
    /// A contract is deployed or called.
    Contract,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Deposit, Self::Transfer, Self::Contract];

    /// The name in keys and in the field `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Transfer => "transfer",
            Self::Contract => "contract",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No kind has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown kind: use deposit, transfer or contract")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.as_str() == name).ok_or(UnknownKind)
    }
}

/// One object of Bitpowr's. Its state is a function of the set of its events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// What it is.
    pub entity_type: EntityType,
    /// For a transaction its kind: an internal transfer may show one uid on both sides.
    pub kind: Option<Kind>,
    /// Bitpowr's identifier of it.
    pub uid: String,
}

impl Entity {
    /// An account, asset, address or customer.
    pub fn new(entity_type: EntityType, uid: impl Into<String>) -> Self {
        Self { entity_type, kind: None, uid: uid.into() }
    }

    /// A transaction.
    pub fn transaction(kind: Kind, uid: impl Into<String>) -> Self {
        Self { entity_type: EntityType::Transaction, kind: Some(kind), uid: uid.into() }
    }
}
