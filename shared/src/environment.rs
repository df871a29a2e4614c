//! Bitpowr's two worlds: test (testnet, play money) and live (mainnet).

crate::names! {
    /// Which of Bitpowr's two environments something belongs to. They share nothing.
    "environment" Environment {
        /// Testnets; objects carry `mode: TEST`, `network: TESTNET`.
        Test "test";
        /// Mainnets; objects carry `mode: LIVE`, `network: MAINNET`.
        Live "live";
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
