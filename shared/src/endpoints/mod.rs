//! Endpoints: the user's own services, which get every event by a signed POST.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `endpoint` | what is kept of an endpoint |
//! | `filter` | which events it wants |
//! | `url` | which URLs may be POSTed to |
//! | [`signing`] | its signing secret, and how a request is signed |
//! | `attempt` | one POST, and what came of it |
//! | `outbound` | the queue between `notify` and `deliver` |
//! | `words` | what people are sent about the endpoints themselves |

mod attempt;
mod endpoint;
mod filter;
mod outbound;
pub mod signing;
mod url;
mod words;

pub use attempt::{ANSWER, Attempt, Progress};
pub use endpoint::{Directory, Endpoint, EndpointState, Failure, SecretVersion, Secrets};
pub use filter::{EndpointFilter, FilterError};
pub use outbound::{Lane, MOST_DELAY, Outbound, Outgoing, SqsOutbound};
pub use url::{EndpointUrl, NotRoutable, Reach, UrlError};
pub use words::announcement;
