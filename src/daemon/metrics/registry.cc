// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics/registry.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "base/utf8.h"

namespace omg {
namespace {

constexpr std::string_view kOther = "other";
constexpr size_t kMaxLabelBytes = 256;

bool is_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), fits);
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

/// `quotes`: in label values these are escaped too.
std::string escaped(std::string_view text, bool quotes) {
  std::string result;
  for (const char c : replace_invalid_utf8(text)) {
    if (c == '\\') {
      result += "\\\\";
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '"' && quotes) {
      result += "\\\"";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

MetricFamily::MetricFamily(Kind kind, std::string name, std::string help,
                           std::vector<std::string> labels, std::vector<double> bounds)
    : kind_(kind),
      name_(std::move(name)),
      help_(std::move(help)),
      labels_(std::move(labels)),
      bounds_(std::move(bounds)) {
  if (labels_.empty()) series({});  // a figure without labels is 0 before it first happens
}

MetricFamily::Series& MetricFamily::series(const LabelValues& labels) {
  if (labels.size() != labels_.size()) {
    throw Error(ErrorCode::kInternal, "the metric " + name_ + " has other labels");
  }
  auto found = series_.find(labels);
  if (found == series_.end()) {
    LabelValues key = labels;
    for (std::string& value : key) {
      if (value.size() > kMaxLabelBytes) value.resize(kMaxLabelBytes);
    }
    if (series_.size() >= kMaxSeries) key.assign(labels_.size(), std::string(kOther));
    found = series_.try_emplace(std::move(key)).first;
    if (kind_ == Kind::kHistogram) found->second.buckets.resize(bounds_.size() + 1);
  }
  return found->second;
}

void MetricFamily::add(const LabelValues& labels, double amount) {
  const std::lock_guard lock(mutex_);
  series(labels).value += amount;
}

void MetricFamily::set(const LabelValues& labels, double value) {
  const std::lock_guard lock(mutex_);
  series(labels).value = value;
}

void MetricFamily::observe(const LabelValues& labels, double value, uint64_t times) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  const std::lock_guard lock(mutex_);
  Series& own = series(labels);
  own.buckets[static_cast<size_t>(bucket)] += times;
  own.value += value * static_cast<double>(times);
}

void MetricFamily::clear() {
  const std::lock_guard lock(mutex_);
  series_.clear();
}

std::string MetricFamily::line_start(std::string_view suffix, const LabelValues& labels,
                                     std::string_view le) const {
  std::string inner;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!inner.empty()) inner += ',';
    inner += labels_[i] + "=\"" + escaped(labels[i], true) + '"';
  }
  if (!le.empty()) inner += (inner.empty() ? "le=\"" : ",le=\"") + std::string(le) + '"';
  return name_ + std::string(suffix) + (inner.empty() ? "" : '{' + inner + '}') + ' ';
}

void MetricFamily::append_histogram(std::string& text, const LabelValues& labels,
                                    const Series& own) const {
  uint64_t count = 0;
  for (size_t i = 0; i < own.buckets.size(); ++i) {
    count += own.buckets[i];
    const std::string le = i < bounds_.size() ? number(bounds_[i]) : "+Inf";
    text += line_start("_bucket", labels, le) + std::to_string(count) + '\n';
  }
  text += line_start("_sum", labels) + number(own.value) + '\n';
  text += line_start("_count", labels) + std::to_string(count) + '\n';
}

void MetricFamily::append_text(std::string& text) const {
  constexpr std::string_view kNames[] = {"counter", "gauge", "histogram"};
  text += "# HELP " + name_ + ' ' + escaped(help_, false) + '\n';
  text += "# TYPE " + name_ + ' ' + std::string(kNames[static_cast<size_t>(kind_)]) + '\n';
  const std::lock_guard lock(mutex_);
  for (const auto& [labels, own] : series_) {
    if (kind_ == Kind::kHistogram) {
      append_histogram(text, labels, own);
    } else {
      text += line_start("", labels) + number(own.value) + '\n';
    }
  }
}

MetricFamily& MetricsRegistry::make(MetricFamily::Kind kind, std::string name, std::string help,
                                    std::vector<std::string> labels, std::vector<double> bounds) {
  const std::lock_guard lock(mutex_);
  const bool fine = is_name(name) && std::all_of(labels.begin(), labels.end(), is_name) &&
                    std::is_sorted(bounds.begin(), bounds.end());
  const auto has_name = [&](const auto& family) { return family->name_ == name; };
  if (!fine || std::any_of(families_.begin(), families_.end(), has_name)) {
    throw Error(ErrorCode::kInternal, "there cannot be a metric '" + name + "'");
  }
  families_.push_back(std::unique_ptr<MetricFamily>(new MetricFamily(
      kind, std::move(name), std::move(help), std::move(labels), std::move(bounds))));
  return *families_.back();
}

MetricFamily& MetricsRegistry::counter(std::string name, std::string help,
                                       std::vector<std::string> labels) {
  return make(MetricFamily::Kind::kCounter, std::move(name), std::move(help), std::move(labels),
              {});
}
MetricFamily& MetricsRegistry::gauge(std::string name, std::string help,
                                     std::vector<std::string> labels) {
  return make(MetricFamily::Kind::kGauge, std::move(name), std::move(help), std::move(labels), {});
}
MetricFamily& MetricsRegistry::histogram(std::string name, std::string help,
                                         std::vector<std::string> labels,
                                         std::vector<double> bounds) {
  return make(MetricFamily::Kind::kHistogram, std::move(name), std::move(help), std::move(labels),
              std::move(bounds));
}

void MetricsRegistry::before_scrape(std::function<void()> call) {
  const std::lock_guard lock(mutex_);
  calls_.push_back(std::move(call));
}

std::string MetricsRegistry::text() {
  const std::lock_guard scrape(scrape_mutex_);
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls = calls_;
  }
  for (const auto& call : calls) call();
  std::string text;
  const std::lock_guard lock(mutex_);
  for (const auto& family : families_) family->append_text(text);
  return text;
}

std::vector<double> latency_bounds() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
}

}  // namespace omg
