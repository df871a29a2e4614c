//! Events and endpoints by the beginning of their ids.

use futures::TryStreamExt as _;
use shared::answers::{Endpoint, Event, List};

use super::failure::Failure;
use super::place::{NoAnswer, Opened};

/// The shortest beginning that is looked for.
const SHORTEST: usize = 8;

/// How many of the newest events are looked at.
const SEARCHED: usize = 2000;

/// Whether a text may be the beginning of an event's id.
fn is_beginning(text: &str) -> bool {
    (SHORTEST..32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The id of the event whose id begins so, among the newest; none where there is none, or the text is no beginning of
/// an id.
///
/// # Errors
/// Where several begin so.
pub(super) async fn find(opened: &Opened, beginning: &str) -> Result<Option<String>, Failure> {
    if !is_beginning(beginning) {
        return Ok(None);
    }
    let beginning = beginning.to_ascii_lowercase();
    let mut searched = 0;
    let mut found = Vec::new();
    let mut pages = std::pin::pin!(opened.pages(&[], None));
    while searched < SEARCHED
        && let Some(List::<Event> { entries, .. }) = pages.try_next().await?
    {
        searched += entries.len();
        found.extend(
            entries.into_iter().map(|event| event.id.to_string()).filter(|id| id.starts_with(&beginning)),
        );
    }
    match found.as_slice() {
        [] | [_] => Ok(found.pop()),
        _ => Err(Failure::new(format!("several events begin so: {}", found.join(", ")))),
    }
}

/// The whole id of an event, of which it or its beginning is given.
///
/// # Errors
/// Where no event, or several, are meant.
pub(super) async fn whole(opened: &Opened, given: &str) -> Result<String, Failure> {
    if !is_beginning(given) {
        return Ok(given.to_owned());
    }
    find(opened, given).await?.ok_or_else(|| unknown(given))
}

/// The endpoint of which the id or its beginning is given.
///
/// # Errors
/// Where no endpoint, or several, are meant.
pub(super) async fn endpoint(opened: &Opened, given: &str) -> Result<Endpoint, Failure> {
    let mut all = opened.endpoints().await?;
    if let Some(place) = all.iter().position(|endpoint| endpoint.id == given) {
        return Ok(all.swap_remove(place));
    }
    all.retain(|endpoint| given.len() >= SHORTEST && endpoint.id.starts_with(given));
    match all.as_slice() {
        [] | [_] => all.pop().ok_or_else(|| Failure::new("Not found: no endpoint has this id.")),
        several => {
            let ids: Vec<_> = several.iter().map(|endpoint| endpoint.id.as_str()).collect();
            Err(Failure::new(format!("several endpoints begin so: {}", ids.join(", "))))
        }
    }
}

/// That no event is of this id.
pub(super) fn unknown(given: &str) -> Failure {
    if is_beginning(given) {
        let searched =
            format!("Of the newest {SEARCHED} events, the id of none begins with {given}. Give all of it");
        return Failure::new(searched);
    }
    Failure::new("Not found: no event has this id.")
}

/// Whether an answer says that there is nothing of this name.
pub(super) fn is_not_found(error: &NoAnswer) -> bool {
    matches!(error, NoAnswer::Refused(problem) if problem.code == "not_found")
}

#[cfg(test)]
mod tests {
    use super::is_beginning;

    #[test]
    fn the_beginning_of_an_id_has_eight_hexadecimal_digits_or_more() {
        for (text, is) in [
            ("191215a5", true),
            ("191215A5", true),
            ("191215a", false),
            ("my-deposit", false),
            ("7d8219ec4273383eaf65f6b97ce7f7f4", false),
        ] {
            assert_eq!(is_beginning(text), is, "{text}");
        }
    }
}
