// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/import_models.h"

#include <array>
#include <fstream>

#include "base/error.h"
#include "daemon/jobs/describe.h"

namespace omg {
namespace {

StoredModel renamed(StoredModel model, const std::string& name) {
  StoredModel result = std::move(model);
  result.name = StoreName(name);
  return result;
}

/// Bytes of the model's files by copy, reflink or hard link instead of by reference.
uint64_t take_bytes(Store& store, StoredModel& model, const ImportOptions& options, Lease& lease) {
  uint64_t bytes = 0;
  for (Artifact& artifact : model.artifacts) {
    if (!artifact.reference) continue;
    const Artifact taken =
        store.put_file(artifact.reference->path, *options.mode, lease, options.cancellation);
    artifact.digest = taken.digest;
    artifact.reference = taken.reference;
    if (*options.mode == ImportMode::kCopy) bytes += artifact.size;
  }
  return bytes;
}

/// A file that says nothing of itself is no reason to refuse the model: it may be of a kind that a
/// later version knows.
void describe(StoredModel& model, ImportReport& report) {
  const auto main = main_gguf(model);
  if (!main || !model.artifacts[*main].reference) return;
  const std::string& path = model.artifacts[*main].reference->path;
  try {
    describe_from_file(path, model);
  } catch (const Error& error) {
    report.problems.push_back({path, error.what()});
  }
}

ImportReport import_bundle(Store& store, const std::string& path, const ImportOptions& options) {
  if (!options.name.empty() || options.mode || options.dry_run) {
    throw Error(ErrorCode::kUsage, "'" + path +
                                       "' is a bundle, which is imported as it is: leave the other "
                                       "options away");
  }
  ImportReport report;
  report.path = path;
  for (const std::string& name : store.import_bundle(path, options.cancellation)) {
    report.models.push_back(store.require(StoreName(name)));
    report.new_bytes += report.models.back().total_bytes();
  }
  return report;
}

}  // namespace

bool is_bundle(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 5> magic{};
  return file.seekg(257) && file.read(magic.data(), magic.size()) &&
         std::string_view(magic.data(), magic.size()) == "ustar";
}

ImportReport import_models(Store& store, const std::string& path, const ImportOptions& options) {
  if (is_bundle(path)) return import_bundle(store, path, options);
  ImportReport report;
  report.path = path;
  RealFileSystem files;
  FoundModels found = scan_models(files, path);
  report.problems = std::move(found.problems);
  if (!options.name.empty()) {
    if (found.models.size() != 1) {
      throw Error(ErrorCode::kUsage,
                  "'" + path + "' holds " + std::to_string(found.models.size()) +
                      " models: --name is for one; give the path of one of them");
    }
    found.models.front() = renamed(std::move(found.models.front()), options.name);
  }
  Lease lease;
  for (StoredModel& model : found.models) {
    options.cancellation.throw_if_cancelled();
    describe(model, report);
    if (!options.dry_run) {
      if (options.mode) report.new_bytes += take_bytes(store, model, options, lease);
      store.publish(model);
    }
    report.models.push_back(std::move(model));
  }
  return report;
}

}  // namespace omg
