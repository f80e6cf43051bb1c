//! What workflows may use: AWS's quotas as settings.

use stepwire_asl::Limits;

/// How much workflows may use. The default of each is AWS's.
///
/// One that is lowered is not applied to what is already there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// Longest input, output or answer of an execution, state, task or activity; bytes of UTF-8.
    pub payload_bytes_max: u64,
    /// Most history events of an execution; the last of them is its failure.
    pub history_events_max: u64,
    /// Longest definition of a state machine; bytes of UTF-8.
    pub definition_bytes_max: u64,
    /// Longest body of a Step Functions request; bytes.
    pub request_bytes_max: u64,
    /// Longest a Standard execution runs; seconds.
    pub execution_seconds_max: u64,
    /// Longest an Express execution runs; seconds.
    pub express_seconds_max: u64,
    /// How long an execution that has ended is kept; seconds.
    pub retention_seconds: u64,
    /// Most workers that wait for a task of one activity at a time.
    pub pollers_max: u64,
    /// Most tags of one resource.
    pub tags_max: u64,
    /// Most map runs that have not ended.
    pub map_runs_max: u64,
    /// Most state machines.
    pub machines_max: u64,
    /// Most activities.
    pub activities_max: u64,
    /// Most topic rules. AWS allows 1,000 and more on request.
    pub rules_max: u64,
    /// Bytes of messages that a log group keeps; the oldest go first. AWS keeps all.
    pub log_group_bytes_max: u64,
    /// Most metrics; AWS has no bound.
    pub metrics_max: u64,
    /// How long the data points of minutes are kept; seconds. AWS adds them up to longer ones.
    pub metric_retention_seconds: u64,
    /// Most alarms.
    pub alarms_max: u64,
    /// Most errands of rules that are not done with: deliveries, and evaluations that ask a function.
    pub errands_max: u64,
    /// Most bytes that their records may have together.
    pub errand_bytes_max: u64,
}

/// A quota by its name in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Its key, such as `payload-bytes-max`.
    pub key: &'static str,
    field: fn(&mut Quotas) -> &mut u64,
}

impl Quotas {
    /// Every quota, in the order of the reference page.
    pub const ALL: &'static [Quota] = &[
        Quota { key: "payload-bytes-max", field: |quotas| &mut quotas.payload_bytes_max },
        Quota { key: "history-events-max", field: |quotas| &mut quotas.history_events_max },
        Quota { key: "definition-bytes-max", field: |quotas| &mut quotas.definition_bytes_max },
        Quota { key: "request-bytes-max", field: |quotas| &mut quotas.request_bytes_max },
        Quota { key: "execution-seconds-max", field: |quotas| &mut quotas.execution_seconds_max },
        Quota { key: "express-seconds-max", field: |quotas| &mut quotas.express_seconds_max },
        Quota { key: "retention-seconds", field: |quotas| &mut quotas.retention_seconds },
        Quota { key: "pollers-max", field: |quotas| &mut quotas.pollers_max },
        Quota { key: "tags-max", field: |quotas| &mut quotas.tags_max },
        Quota { key: "map-runs-max", field: |quotas| &mut quotas.map_runs_max },
        Quota { key: "machines-max", field: |quotas| &mut quotas.machines_max },
        Quota { key: "activities-max", field: |quotas| &mut quotas.activities_max },
        Quota { key: "rules-max", field: |quotas| &mut quotas.rules_max },
        Quota { key: "log-group-bytes-max", field: |quotas| &mut quotas.log_group_bytes_max },
        Quota { key: "metrics-max", field: |quotas| &mut quotas.metrics_max },
        Quota {
            key: "metric-retention-seconds",
            field: |quotas| &mut quotas.metric_retention_seconds,
        },
        Quota { key: "alarms-max", field: |quotas| &mut quotas.alarms_max },
        Quota { key: "errands-max", field: |quotas| &mut quotas.errands_max },
        Quota { key: "errand-bytes-max", field: |quotas| &mut quotas.errand_bytes_max },
    ];

    /// How far a Standard execution may go.
    pub fn standard(&self) -> Limits {
        self.limits(self.execution_seconds_max)
    }

    /// How far an Express execution may go.
    pub fn express(&self) -> Limits {
        self.limits(self.express_seconds_max)
    }

    fn limits(&self, run_seconds_max: u64) -> Limits {
        let run_ms_max = run_seconds_max.saturating_mul(1_000);
        Limits {
            payload_bytes_max: self.payload_bytes(),
            events_max: self.history_events_max,
            run_ms_max: i64::try_from(run_ms_max).unwrap_or(i64::MAX),
        }
    }

    /// [`Quotas::payload_bytes_max`], to compare lengths with.
    pub fn payload_bytes(&self) -> usize {
        usize::try_from(self.payload_bytes_max).unwrap_or(usize::MAX)
    }
}

impl Quota {
    /// The quota of this key.
    pub fn named(key: &str) -> Option<Quota> {
        Quotas::ALL.iter().find(|quota| quota.key == key).copied()
    }

    /// Its value in `quotas`.
    pub fn value(self, quotas: &Quotas) -> u64 {
        *(self.field)(&mut quotas.clone())
    }

    /// Sets this quota in `quotas`.
    pub fn set(self, quotas: &mut Quotas, value: u64) {
        *(self.field)(quotas) = value;
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Quotas {
            payload_bytes_max: 262_144,
            history_events_max: 25_000,
            definition_bytes_max: 1_048_576,
            request_bytes_max: 1_048_576,
            execution_seconds_max: 365 * 24 * 3_600,
            express_seconds_max: 300,
            retention_seconds: 90 * 24 * 3_600,
            pollers_max: 1_000,
            tags_max: 50,
            map_runs_max: 1_000,
            machines_max: 100_000,
            activities_max: 100_000,
            rules_max: 100_000,
            log_group_bytes_max: 1 << 30,
            metrics_max: 100_000,
            metric_retention_seconds: 15 * 24 * 3_600,
            alarms_max: 5_000,
            errands_max: 100_000,
            errand_bytes_max: 128 << 20,
        }
    }
}
