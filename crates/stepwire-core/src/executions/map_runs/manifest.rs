//! Manifests: objects that name those that hold the items.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::definition::Manifest;

/// What a manifest says.
#[derive(Debug, PartialEq)]
pub(super) struct Listed {
    /// Bucket and key of each object, in order.
    pub(super) files: Vec<(Arc<str>, Arc<str>)>,
    /// Names of their columns, when the objects do not say.
    pub(super) columns: Option<Vec<Arc<str>>>,
}

/// Reads a manifest that stands in `bucket`.
pub(super) fn read(kind: Manifest, bytes: &[u8], bucket: &Arc<str>) -> Result<Listed, String> {
    match kind {
        Manifest::Inventory => inventory(bytes, bucket),
        Manifest::Athena => unloaded(bytes),
    }
}

/// Source: Amazon S3 user guide, "Inventory manifest".
fn inventory(bytes: &[u8], bucket: &Arc<str>) -> Result<Listed, String> {
    let manifest = Json::parse_bytes(bytes)
        .map_err(|error| format!("The manifest is not valid JSON: {error}"))?;
    let text = |name: &str| manifest.member(name).and_then(Json::as_str);
    let format = text("fileFormat").ok_or("The manifest does not say its fileFormat.")?;
    if format != "CSV" {
        return Err(format!(
            "Inventories of the format {format} are not available in stepwire yet."
        ));
    }
    let schema = text("fileSchema").ok_or("The manifest does not say its fileSchema.")?;
    let columns = schema.split(',').map(|name| Arc::from(name.trim())).collect();
    let named = text("destinationBucket").and_then(|arn| arn.rsplit(':').next());
    let bucket = named.map_or_else(|| Arc::clone(bucket), Arc::from);
    let files = manifest.member("files").and_then(Json::as_array);
    let files = files.ok_or("The manifest does not list its files.")?;
    let file = |file: &Json| Some((Arc::clone(&bucket), file.member("key")?.as_str()?.into()));
    let files: Option<Vec<_>> = files.iter().map(file).collect();
    let files = files.ok_or("A file of the manifest has no key.")?;
    Ok(Listed { files, columns: Some(columns) })
}

/// One address a line. Source: Amazon Athena user guide, "UNLOAD".
fn unloaded(bytes: &[u8]) -> Result<Listed, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "The manifest is not UTF-8.")?;
    let lines = text.lines().map(|line| line.trim().trim_matches('"')).filter(|l| !l.is_empty());
    let file = |line: &str| {
        let address = line.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (bucket, key) =
            address.ok_or_else(|| format!("{line} is not the address of an object."))?;
        Ok((bucket.into(), key.into()))
    };
    Ok(Listed { files: lines.map(file).collect::<Result<_, String>>()?, columns: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_names_its_files_and_columns() {
        let manifest = r#"{"sourceBucket":"s","destinationBucket":"arn:aws:s3:::d","fileFormat":"CSV",
            "fileSchema":"Bucket, Key","files":[{"key":"data/1.csv.gz","size":1,"MD5checksum":"x"}]}"#;
        let listed = read(Manifest::Inventory, manifest.as_bytes(), &"b".into());
        let files = vec![("d".into(), "data/1.csv.gz".into())];
        let columns = Some(vec!["Bucket".into(), "Key".into()]);
        assert_eq!(listed, Ok(Listed { files, columns }));
    }

    #[test]
    fn what_an_unloading_query_lists_is_addresses() {
        let listed = read(Manifest::Athena, b"s3://a/b/c\n\ns3://a/d.gz\n", &"b".into());
        let files = vec![("a".into(), "b/c".into()), ("a".into(), "d.gz".into())];
        assert_eq!(listed, Ok(Listed { files, columns: None }));
        let failed = read(Manifest::Athena, b"file.csv", &"b".into());
        assert_eq!(failed, Err("file.csv is not the address of an object.".to_owned()));
    }
}
