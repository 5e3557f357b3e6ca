//! What columns mean, as astronomers' programs read it: a VOTable without data in the footer of a
//! Parquet file (VOParquet 1.0). TOPCAT, STILTS and astropy take units, UCDs and descriptions from it.

use crate::metadata;
use arrow::datatypes::{DataType, Field, Schema};
use std::fmt::Write;

/// Footer key: version of the convention.
pub const VERSION_KEY: &str = "IVOA.VOTable-Parquet.version";
/// Footer key: the VOTable, as XML.
pub const CONTENT_KEY: &str = "IVOA.VOTable-Parquet.content";

/// The footer's key-value metadata that describe the columns of a table.
#[must_use]
pub fn key_values(table: &str, schema: &Schema) -> [(&'static str, String); 2] {
    [(VERSION_KEY, "1.0".to_owned()), (CONTENT_KEY, document(table, schema))]
}

/// The VOTable: one resource, one table, one FIELD a column.
fn document(table: &str, schema: &Schema) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\">\n\
         <RESOURCE>\n<COOSYS ID=\"icrs\" system=\"ICRS\"/>\n<TABLE name=\"{}\">\n",
        Escaped(table)
    );
    for field in schema.fields() {
        put_field(&mut xml, field);
    }
    xml + "</TABLE>\n</RESOURCE>\n</VOTABLE>\n"
}

fn put_field(xml: &mut String, field: &Field) {
    let about = |key| field.metadata().get(key).filter(|text| !text.is_empty());
    let (kind, array) = datatype(field.data_type());
    // writing to a string cannot fail
    let _ = write!(xml, "<FIELD name=\"{}\" datatype=\"{kind}\"{array}", Escaped(field.name()));
    for (name, key) in [("unit", metadata::UNIT), ("ucd", metadata::UCD)] {
        if let Some(text) = about(key) {
            let _ = write!(xml, " {name}=\"{}\"", Escaped(text));
        }
    }
    if about(metadata::UCD).is_some_and(|ucd| ucd.starts_with("pos.eq.")) {
        xml.push_str(" ref=\"icrs\"");
    }
    let _ = match about(metadata::DESCRIPTION) {
        Some(text) => writeln!(xml, "><DESCRIPTION>{}</DESCRIPTION></FIELD>", Escaped(text)),
        None => writeln!(xml, "/>"),
    };
}

/// The VOTable's type, and its attribute for what has several values. Texts are given a greatest
/// length, which nobody holds them to: astropy fails to read those that have none.
fn datatype(kind: &DataType) -> (&'static str, &'static str) {
    const MANY: &str = " arraysize=\"*\"";
    const TEXT: (&str, &str) = ("unicodeChar", " arraysize=\"64*\"");
    let scalar = match kind {
        DataType::Boolean => "boolean",
        DataType::UInt8 => "unsignedByte",
        DataType::Int8 | DataType::Int16 => "short",
        DataType::Int32 | DataType::UInt16 => "int",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "long",
        DataType::Float16 | DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            return match datatype(item.data_type()) {
                (scalar, "") => (scalar, MANY),
                // VOTable has no lists of texts or of lists
                _ => TEXT,
            };
        }
        _ => return TEXT,
    };
    (scalar, "")
}

/// Text as XML takes it, in attributes and between tags.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // XML knows no way to write these
                c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => {
                    f.write_char('\u{fffd}')?
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn columns_say_what_they_are() {
        let about = |ucd: &str| {
            [
                (metadata::UNIT, "deg"),
                (metadata::UCD, ucd),
                (metadata::DESCRIPTION, "a < b & \"c\""),
            ]
            .map(|(key, text)| (key.to_owned(), text.to_owned()))
            .into()
        };
        let list = DataType::List(Arc::new(Field::new("element", DataType::Float32, false)));
        let schema = Schema::new(vec![
            Field::new("ra", DataType::Float64, true).with_metadata(about("pos.eq.ra")),
            Field::new("flux", list, false),
            Field::new("name", DataType::Utf8, false),
        ]);
        let xml = document("spectra", &schema);
        let fields: Vec<&str> = xml.lines().filter(|line| line.starts_with("<FIELD")).collect();
        assert_eq!(
            fields,
            [
                "<FIELD name=\"ra\" datatype=\"double\" unit=\"deg\" ucd=\"pos.eq.ra\" ref=\"icrs\">\
                 <DESCRIPTION>a &lt; b &amp; &quot;c&quot;</DESCRIPTION></FIELD>",
                "<FIELD name=\"flux\" datatype=\"float\" arraysize=\"*\"/>",
                "<FIELD name=\"name\" datatype=\"unicodeChar\" arraysize=\"64*\"/>",
            ]
        );
    }
}
