//! The README's table of events is what the code does. `UPDATE=1 cargo test` writes it anew. And every link between the
//! documents leads somewhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use local::with_family;
use shared::clock::Moment;
use shared::environment::Environment;
use shared::family::FamilyRules;
use shared::fold::fold;
use shared::model::notification::Audience;
use shared::model::{Body, EventType, Fact, Family, Posting, lenient, lifecycle};

/// What a family makes of the sample of one of its events, as a row of the table.
fn row<F: FamilyRules>(event: EventType) -> String {
    let body = Body::parse(local::cli::samples::payload(event).as_bytes(), Environment::Test).unwrap();
    let data = lenient::object(&body.data).unwrap();
    let meaning = F::meaning(&event.into(), &data, Moment::from_millis(0)).unwrap();
    let folded = fold(None, &meaning);
    let entity = &meaning.entity;
    let what = entity.kind.map_or(entity.entity_type.as_str(), |kind| kind.as_str());
    let flags: Vec<_> = folded.facts.set(Fact::Flags).collect();
    let status = if flags.is_empty() {
        format!("{what} is `{}`", lifecycle::status(entity.entity_type, &folded.facts))
    } else {
        format!("{what} has the flag `{}`", flags.join(", "))
    };
    let columns =
        |posting: &Posting| posting.amounts.columns().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    let money: Vec<_> = folded.known.posted.values().map(columns).collect();
    let money = money.join(", ");
    let people = match F::audience(&event.into()) {
        Audience::People(why) => format!("yes: {why}"),
        Audience::Programs(why) => format!("no: {why}"),
    };
    format!("| `{}` | {status} | {money} | {people} |\n", event.as_str())
}

fn table() -> String {
    let mut table = String::new();
    for family in Family::ALL {
        let mut rows = String::new();
        for event in EventType::ALL.iter().copied().filter(|event| event.family() == family) {
            rows.push_str(&with_family!(family, F => row::<F>(event)));
        }
        if !rows.is_empty() {
            let _ = write!(
                table,
                "\n**{family}** (`functions/{family}`)\n\n| event | afterwards | balance | people are notified |\n| --- | --- | --- | --- |\n{rows}"
            );
        }
    }
    table
}

#[test]
fn the_table_of_events_is_current() {
    const START: &str = "<!-- events: written by `UPDATE=1 cargo test documentation` -->\n";
    const END: &str = "<!-- /events -->";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = readme.split_once(START).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let table = table() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, format!("{before}{START}{table}{END}{after}")).unwrap();
    } else {
        assert!(
            written == table,
            "the README's table of events is not current: UPDATE=1 cargo test documentation"
        );
    }
}

/// The documents: those of the root, and everything below `docs` but what others wrote.
fn documents(root: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) =
        (vec![root.join("docs")], vec![root.join("README.md"), root.join("CHANGELOG.md")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The anchors of a document, as GitHub makes them of its headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    let anchor = |heading: &str| {
        let words: String = heading.trim_start_matches('#').trim().chars().filter(kept).collect();
        words.to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_between_the_documents_leads_to_a_file_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut broken = Vec::new();
    for document in documents(&root) {
        let text = std::fs::read_to_string(&document).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link));
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            let is_there = target.exists()
                && (anchor.is_empty()
                    || anchors(&std::fs::read_to_string(&target).unwrap()).iter().any(|one| one == anchor));
            if !is_there {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
