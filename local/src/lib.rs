//! The whole product in one process, for a laptop and for tests: the same handlers that are deployed, around
//! an embedded DynamoDB.
//!
//! Three wings, of which each imports from those below it only:
//!
//! | wing | what it knows |
//! | --- | --- |
//! | [`cli`] | the command line, and the samples that it sends |
//! | [`product`] | the parts put together, on a data folder; a deployed stack, seen from here |
//! | [`standins`] | what stands here for AWS |
//!
//! [`standins`]:
//!
//! | deployed | here |
//! | --- | --- |
//! | API Gateway | [`gateway`](standins::gateway): real HTTP in, API Gateway events to the handlers; [`guard`](standins::guard) knows who may ask |
//! | SQS | [`queues`](standins::queues): a file of messages with visibility time-outs, receive counts and dead letters |
//! | event source mappings | [`mappings`](standins::mappings): batches from queues and stream to the handlers |
//! | DynamoDB and its stream | [`engine`](standins::engine): dynoxide, reached through the real SDK without a port |
//! | SNS | [`topics`](standins::topics), [`subscriptions`](standins::subscriptions): standard output, POSTs, a folder of e-mails |
//! | Secrets Manager, identities | [`development`](standins::development): keys and names for development |
//! | AWS itself, for functions in containers | [`aws_endpoint`](standins::aws_endpoint): all of these at one address |
//!
//! [`database`](standins::database) is the file of queues, subscriptions and the stream's
//! [`checkpoint`](standins::checkpoint); [`files`](standins::files) are for their owner alone; [`stop`](standins::stop) ends tasks.
//!
//! [`product`]:
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`product`] itself | which parts there are, in which order they start and stop |
//! | [`attached`](product::attached) | a folder's data, whether the product is running on it or not |
//! | [`folder`](product::folder) | the data folder, its files and its lock |
//! | [`families`](product::families) | the code of each family |
//! | [`stack`](product::stack) | a deployed stack, with its user's own credentials |
//! | [`queues`](product::queues), [`subscriptions`](product::subscriptions) | what is there of both, of a folder and of a stack, behind the same traits |

pub mod cli;
pub mod product;
pub mod standins;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The Rust files below a folder of `src`, with their text.
    fn sources(folder: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(sources(&path));
            } else {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
        found
    }

    #[test]
    fn imports_run_one_way() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for (wing, above) in [("standins", &["product", "cli"][..]), ("product", &["cli"])] {
            let files = sources(&src.join(wing));
            assert!(files.len() > 3, "{wing}");
            for (file, text) in files {
                for other in above {
                    assert!(!text.contains(&format!("crate::{other}")), "{file} imports from {other}");
                }
            }
        }
    }
}
