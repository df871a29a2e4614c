//! Bitpowr's two worlds: test (testnet, play money) and live (mainnet).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which of Bitpowr's two environments something belongs to. They share nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Testnets; objects carry `mode: TEST`, `network: TESTNET`.
    Test,
    /// Mainnets; objects carry `mode: LIVE`, `network: MAINNET`.
    Live,
}

impl Environment {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Test, Self::Live];

    /// The name in paths, keys and events: `test` or `live`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no environment.
#[derive(Debug, thiserror::Error)]
#[error("unknown environment: use test or live")]
pub struct UnknownEnvironment;

impl FromStr for Environment {
    type Err = UnknownEnvironment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or(UnknownEnvironment)
    }
}

/// The environments that one deployment serves: a stack serves one, the local product both.
#[derive(Clone, Debug)]
pub struct Environments(Vec<Environment>);

impl Environments {
    /// Serves only this one.
    pub fn only(environment: Environment) -> Self {
        Self(vec![environment])
    }

    /// Serves test and live.
    pub fn both() -> Self {
        Self(Environment::ALL.to_vec())
    }

    /// The environment of this name, if it is served here.
    pub fn served(&self, name: &str) -> Option<Environment> {
        name.parse().ok().filter(|environment| self.0.contains(environment))
    }

    /// Those that are served here.
    pub fn iter(&self) -> impl Iterator<Item = Environment> {
        self.0.iter().copied()
    }

    /// Whether it is served here.
    pub fn contains(&self, environment: Environment) -> bool {
        self.0.contains(&environment)
    }
}
