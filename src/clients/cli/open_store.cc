// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/open_store.h"

#include <chrono>
#include <fmt/format.h>

#include "base/file_system.h"
#include "daemon/jobs/built_in.h"

namespace omg::cli {
namespace {

json::value or_null(std::optional<int64_t> value) {
  if (!value) return nullptr;
  return *value;
}

json::object artifact_to_json(const Artifact& artifact) {
  json::object object = {{"filename", artifact.filename},
                         {"size", artifact.size},
                         {"digest", nullptr},
                         {"role", artifact.role},
                         {"path", nullptr}};
  if (artifact.digest) object["digest"] = artifact.digest->str();
  if (artifact.reference) {
    object["path"] = artifact.reference->path;
    object["owner"] = owner_name(artifact.reference->owner);
  }
  return object;
}

}  // namespace

StoreOptions store_options(const Settings& settings) {
  StoreOptions options;
  options.folder = settings.text("models");
  options.built_in = built_in_models();
  options.may_be_read_only = true;
  return options;
}

Store open_store() {
  RealFileSystem files;
  return Store::open(store_options(Settings::load(files, default_settings_sources())));
}

std::string format_age(std::optional<int64_t> seconds_since_1970) {
  if (!seconds_since_1970) return "never";
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const int64_t age = std::max<int64_t>(now - *seconds_since_1970, 0);
  const auto ago = [](int64_t count, const char* unit) {
    return fmt::format("{} {}{} ago", count, unit, count == 1 ? "" : "s");
  };
  if (age < 10) return "just now";
  if (age < 60) return ago(age, "second");
  if (age < 3600) return ago(age / 60, "minute");
  if (age < 86400) return ago(age / 3600, "hour");
  if (age < 7 * 86400) return ago(age / 86400, "day");
  if (age < 60 * 86400) return ago(age / (7 * 86400), "week");
  if (age < 730 * 86400) return ago(age / (30 * 86400), "month");
  return ago(age / (365 * 86400), "year");
}

json::object model_to_json(const ListedModel& listed) {
  const StoredModel& model = listed.model;
  json::array artifacts;
  for (const Artifact& artifact : model.artifacts) artifacts.push_back(artifact_to_json(artifact));
  json::array capabilities(model.capabilities.begin(), model.capabilities.end());
  return {{"name", model.name.str()},
          {"digest", model.files_digest().str()},
          {"size", model.total_bytes()},
          {"family", model.family},
          {"quantization", model.quantization},
          {"parameters", model.parameter_count},
          {"context_length", model.context_length},
          {"license", model.license},
          {"capabilities", std::move(capabilities)},
          {"provider", provider_name(model.origin.provider)},
          {"endpoint", model.origin.endpoint},
          {"repository", model.origin.repository},
          {"revision", model.origin.revision},
          {"commit", model.origin.commit},
          {"base", model.base},
          {"installed_at", model.installed_at},
          {"last_used", or_null(listed.last_used)},
          {"artifacts", std::move(artifacts)}};
}

}  // namespace omg::cli
