//! A sheet: where metrics are written to.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Where metrics are written to.
pub(super) struct Sheet<'a>(pub(super) DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn one(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        metric.encode(self.0.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    /// A number that goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, &ConstGauge::new(value))
    }

    /// Seconds that go up and down.
    pub(super) fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.one(name, help, &ConstGauge::new(value))
    }

    /// A number that grows.
    pub(super) fn total(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, &ConstCounter::new(value))
    }

    /// Seconds that grow.
    pub(super) fn seconds_total(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.one(name, help, &ConstCounter::new(value))
    }

    /// Seconds that grow, by the words of a label.
    pub(super) fn seconds_totals<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: [(&'static str, f64); N],
    ) -> fmt::Result {
        let values = values.map(|(word, value)| (word, ConstCounter::new(value)));
        let Some((_, first)) = values.first() else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        values.iter().try_for_each(|(word, value)| value.encode(family.encode_family(&[(label, *word)])?))
    }

    /// Numbers that go up and down, by the words of a label.
    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (impl AsRef<str>, u64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().map(|(word, value)| (word, ConstGauge::new(value))).peekable();
        let Some((_, first)) = values.peek() else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        values.try_for_each(|(word, value)| value.encode(family.encode_family(&[(label, word.as_ref())])?))
    }

    /// Numbers that go up and down, by the words of two labels.
    pub(super) fn gauges_by_two<N: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; 2],
        values: impl IntoIterator<Item = ([&'static str; 2], N)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().map(|(words, value)| (words, ConstGauge::new(value))).peekable();
        let Some((_, first)) = values.peek() else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        let [one, two] = labels;
        values.try_for_each(|([a, b], value)| value.encode(family.encode_family(&[(one, a), (two, b)])?))
    }

    /// Numbers that grow, by the words of two labels.
    pub(super) fn totals_by_two(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; 2],
        values: impl IntoIterator<Item = ([&'static str; 2], u64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().map(|(words, value)| (words, ConstCounter::new(value))).peekable();
        let Some((_, first)) = values.peek() else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        let [one, two] = labels;
        values.try_for_each(|([a, b], value)| value.encode(family.encode_family(&[(one, a), (two, b)])?))
    }

    /// Numbers that grow, by the words of a label.
    pub(super) fn totals(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (impl AsRef<str>, u64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().map(|(word, value)| (word, ConstCounter::new(value))).peekable();
        let Some((_, first)) = values.peek() else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        values.try_for_each(|(word, value)| value.encode(family.encode_family(&[(label, word.as_ref())])?))
    }
}
