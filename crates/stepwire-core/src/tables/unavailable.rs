//! Operations of the DynamoDB API that this node does not have: refused by name, with what to do
//! instead.

use crate::error::ApiError;

const PARTIQL: &str = "PartiQL is not available; use GetItem, PutItem, UpdateItem, DeleteItem, \
    Query, TransactWriteItems and the like";
const BACKUPS: &str = "there are no backups of single tables; copy the data folder of the node";
const GLOBAL: &str = "there are no other regions to replicate to";
const STREAMS: &str = "there are no streams of tables";
const POLICIES: &str = "who may use the API is not decided by table";
const INSIGHTS: &str = "there is no Contributor Insights";

/// In order, for the search.
const REFUSED: [(&str, &str); 33] = [
    ("BatchExecuteStatement", PARTIQL),
    ("CreateBackup", BACKUPS),
    ("CreateGlobalTable", GLOBAL),
    ("DeleteBackup", BACKUPS),
    ("DeleteResourcePolicy", POLICIES),
    ("DescribeBackup", BACKUPS),
    ("DescribeContributorInsights", INSIGHTS),
    ("DescribeExport", BACKUPS),
    ("DescribeGlobalTable", GLOBAL),
    ("DescribeGlobalTableSettings", GLOBAL),
    ("DescribeImport", BACKUPS),
    ("DescribeKinesisStreamingDestination", STREAMS),
    ("DescribeTableReplicaAutoScaling", GLOBAL),
    ("DisableKinesisStreamingDestination", STREAMS),
    ("EnableKinesisStreamingDestination", STREAMS),
    ("ExecuteStatement", PARTIQL),
    ("ExecuteTransaction", PARTIQL),
    ("ExportTableToPointInTime", BACKUPS),
    ("GetResourcePolicy", POLICIES),
    ("ImportTable", BACKUPS),
    ("ListBackups", BACKUPS),
    ("ListContributorInsights", INSIGHTS),
    ("ListExports", BACKUPS),
    ("ListGlobalTables", GLOBAL),
    ("ListImports", BACKUPS),
    ("PutResourcePolicy", POLICIES),
    ("RestoreTableFromBackup", BACKUPS),
    ("RestoreTableToPointInTime", BACKUPS),
    ("UpdateContributorInsights", INSIGHTS),
    ("UpdateGlobalTable", GLOBAL),
    ("UpdateGlobalTableSettings", GLOBAL),
    ("UpdateKinesisStreamingDestination", STREAMS),
    ("UpdateTableReplicaAutoScaling", GLOBAL),
];

/// Why an operation of this name is refused, if it is one of DynamoDB's.
pub(super) fn refused(operation: &str) -> Option<ApiError> {
    let at = REFUSED.binary_search_by_key(&operation, |(name, _)| name).ok()?;
    let message = format!("`{operation}` is not available in stepwire: {}", REFUSED[at].1);
    Some(ApiError::new("UnknownOperationException", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refused_operation_is_found() {
        assert!(REFUSED.is_sorted());
        assert!(REFUSED.iter().all(|(name, _)| refused(name).is_some()));
    }
}
