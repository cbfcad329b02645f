// SPDX-License-Identifier: Apache-2.0
//
// Figures for Prometheus: counters, gauges and histograms with labels, and their text format
// (version 0.0.4). Two pages of code, so no library.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

/// Values of a family's labels, in the order of their names.
using LabelValues = std::vector<std::string>;

/// One metric with all its label values. Thread-safe. At most kMaxSeries different label values
/// are kept apart; what comes beyond is counted under "other" in every label, so that no client can
/// make the daemon grow by inventing names.
class MetricFamily {
 public:
  static constexpr size_t kMaxSeries = 1000;

  /// Of a counter: `amount` >= 0.
  void add(const LabelValues& labels, double amount = 1);
  /// Of a gauge.
  void set(const LabelValues& labels, double value);
  /// Of a histogram: `value` was seen so many times.
  void observe(const LabelValues& labels, double value, uint64_t times = 1);
  /// Forgets all series: for gauges that are set anew before each scrape.
  void clear();

 private:
  friend class MetricsRegistry;
  enum class Kind { kCounter, kGauge, kHistogram };
  struct Series {
    double value = 0;               // of a histogram: the sum
    std::vector<uint64_t> buckets;  // not cumulative; the last is for all above the bounds
  };
  MetricFamily(Kind kind, std::string name, std::string help, std::vector<std::string> labels,
               std::vector<double> bounds);
  Series& series(const LabelValues& labels);
  void append_text(std::string& text) const;
  void append_histogram(std::string& text, const LabelValues& labels, const Series& own) const;
  std::string line_start(std::string_view suffix, const LabelValues& labels,
                         std::string_view le = "") const;

  const Kind kind_;
  const std::string name_;
  const std::string help_;
  const std::vector<std::string> labels_;
  const std::vector<double> bounds_;
  mutable std::mutex mutex_;
  std::map<LabelValues, Series> series_;
};

/// Thread-safe. Families live as long as the registry.
class MetricsRegistry {
 public:
  /// Error(kInternal) for a name that is there already, or that Prometheus cannot read.
  MetricFamily& counter(std::string name, std::string help, std::vector<std::string> labels = {});
  MetricFamily& gauge(std::string name, std::string help, std::vector<std::string> labels = {});
  /// `bounds`: upper ones, ascending; "+Inf" is added.
  MetricFamily& histogram(std::string name, std::string help, std::vector<std::string> labels,
                          std::vector<double> bounds);

  /// Called before each text(), to set gauges; one at a time.
  void before_scrape(std::function<void()> call);
  /// Everything, in the order in which it was made. What before_scrape's calls throw is passed on.
  std::string text();
  /// Its media type.
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  MetricFamily& make(MetricFamily::Kind kind, std::string name, std::string help,
                     std::vector<std::string> labels, std::vector<double> bounds);

  std::mutex scrape_mutex_;  // taken before mutex_
  std::mutex mutex_;
  std::vector<std::unique_ptr<MetricFamily>> families_;
  std::vector<std::function<void()>> calls_;
};

/// From milliseconds to minutes, three to a decade: for latencies.
std::vector<double> latency_bounds();

}  // namespace omg
