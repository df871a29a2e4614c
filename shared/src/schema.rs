//! The JSON Schema of what programs get, and types for TypeScript that follow from it. `docs/notification.schema.json` and
//! `docs/notification.d.ts` are what the code says; `UPDATE=1 cargo test --package shared schema` writes them anew.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::clock::Moment;
use crate::model::Decimal;
use crate::model::notification::ForPrograms;

/// The schema of a closed list of names, from the lines of its documentation and of each name's.
pub(crate) fn of_names(about: &[&str], names: &[(&str, &[&str])]) -> Schema {
    let text = |lines: &[&str]| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let name = |(name, lines): &(&str, &[&str])| json_schema!({ "const": name, "description": text(lines) });
    json_schema!({
        "type": "string",
        "description": text(about),
        "oneOf": names.iter().map(name).collect::<Vec<_>>(),
    })
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]+(\\.[0-9]+)?$",
            "description": "An exact decimal of any size, as text: a float would lose digits.",
        })
    }
}

/// The schema of what is written: a field that is not known is there, and null.
fn of_notifications() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<ForPrograms>().to_value();
    // What it is comes first.
    let mut first = Map::new();
    for name in ["$schema", "title", "description"] {
        first.insert(name.to_owned(), schema[name].take());
    }
    first.extend(schema.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()));
    Value::Object(first)
}

/// The types of a schema, for TypeScript.
fn typescript(schema: &Value) -> String {
    let mut types =
        "// What programs get. Written by `just update` from the code, as notification.schema.json is.\n"
            .to_owned();
    let definitions = schema["$defs"].as_object().unwrap();
    let root = schema["title"].as_str().unwrap();
    for (name, of) in
        [(root, schema)].into_iter().chain(definitions.iter().map(|(name, of)| (name.as_str(), of)))
    {
        types.push('\n');
        comment(&mut types, "", of);
        match of["properties"].as_object() {
            Some(fields) => {
                let _ = writeln!(types, "export interface {name} {{");
                let required = of["required"].as_array().unwrap();
                for (field, of) in fields {
                    comment(&mut types, "  ", of);
                    let optional = if required.contains(&Value::from(field.as_str())) { "" } else { "?" };
                    let _ = writeln!(types, "  {field}{optional}: {};", type_of(of));
                }
                types.push_str("}\n");
            }
            None => match of["oneOf"].as_array() {
                Some(names) => {
                    let _ = writeln!(types, "export type {name} =");
                    for (position, name) in (1..).zip(names) {
                        comment(&mut types, "  ", name);
                        let end = if position == names.len() { ";" } else { "" };
                        let _ = writeln!(types, "  | {}{end}", name["const"]);
                    }
                }
                None => {
                    let _ = writeln!(types, "export type {name} = {};", type_of(of));
                }
            },
        }
    }
    types
}

fn comment(types: &mut String, indent: &str, of: &Value) {
    if let Some(text) = of["description"].as_str() {
        let _ = writeln!(types, "{indent}/** {} */", text.replace('\n', " "));
    }
}

fn type_of(schema: &Value) -> String {
    let either = |all: &[Value]| all.iter().map(type_of).collect::<Vec<_>>().join(" | ");
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.trim_start_matches("#/$defs/").to_owned();
    }
    if let Some(all) = schema["anyOf"].as_array() {
        return either(all);
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    match &schema["type"] {
        Value::Array(several) => several.iter().map(|one| named(one, schema)).collect::<Vec<_>>().join(" | "),
        one => named(one, schema),
    }
}

fn named(name: &Value, schema: &Value) -> String {
    match name.as_str().unwrap() {
        "integer" => "number".to_owned(),
        "array" => format!("{}[]", type_of(&schema["items"])),
        "object" => "Record<string, unknown>".to_owned(),
        other => other.to_owned(),
    }
}

/// Writes a document, or compares it to what is there.
fn check(name: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, expected).unwrap();
    } else {
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == expected, "docs/{name} is not current: just update");
    }
}

#[test]
fn the_schema_of_notifications_and_the_types_are_current() {
    let schema = of_notifications();
    check("notification.schema.json", &format!("{schema:#}\n"));
    check("notification.d.ts", &typescript(&schema));
}

#[test]
fn every_field_and_every_name_is_described() {
    fn undescribed(path: &str, fields: &Map<String, Value>, found: &mut Vec<String>) {
        for (name, of) in fields {
            let path = format!("{path}.{name}");
            if of["description"].as_str().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            for name in of["oneOf"].as_array().into_iter().flatten() {
                assert!(name["description"].is_string(), "{path} {name}");
            }
            if let Some(fields) = of["properties"].as_object() {
                undescribed(&path, fields, found);
            }
        }
    }
    let schema = of_notifications();
    let mut found = Vec::new();
    for part in ["properties", "$defs"] {
        undescribed(part, schema[part].as_object().unwrap(), &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}
