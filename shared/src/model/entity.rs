//! What an event is about.

use serde::{Deserialize, Serialize};

use crate::names::{UnknownName, in_any_case};

crate::names! {
    /// The kinds of object whose state is kept.
    "entity type" EntityType {
        /// A deposit, a transfer or a contract call.
        Transaction "transaction";
        /// An account.
        Account "account";
        /// An asset of an account.
        Asset "asset";
        /// A receiving address.
        Address "address";
        /// A customer of the customer.
        Customer "customer";
    }
}

impl EntityType {
    /// What a text says that names an entity: `type:uid`, or a uid alone. A uid may contain a colon itself.
    ///
    /// # Errors
    /// Where what is before the colon resembles a type, and is none.
    pub fn split(text: &str) -> Result<(Option<Self>, &str), UnknownName> {
        let Some((name, uid)) = text.split_once(':') else { return Ok((None, text)) };
        match in_any_case(name) {
            Ok(entity_type) => Ok((Some(entity_type), uid)),
            Err(unknown) if unknown.nearest.is_some() => Err(unknown),
            Err(_) => Ok((None, text)),
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

crate::names! {
    /// Which way a transaction goes. State is kept per uid and kind.
    "kind" Kind {
        /// Money comes in.
        Deposit "deposit";
        /// Money goes out.
        Transfer "transfer";
        /// A contract is deployed or called.
        Contract "contract";
        /// No event says which way. What is said so waits until one kind is known for the uid.
        Unknown "unknown";
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

/// How an event names its entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EntityRef {
    /// What it is.
    #[serde(rename = "type")]
    pub entity_type: EntityType,
    /// Bitpowr's identifier.
    pub uid: String,
}

impl From<&Entity> for EntityRef {
    fn from(entity: &Entity) -> Self {
        Self { entity_type: entity.entity_type, uid: entity.uid.clone() }
    }
}
