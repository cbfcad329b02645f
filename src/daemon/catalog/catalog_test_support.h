// SPDX-License-Identifier: Apache-2.0
//
// What the catalogue's tests share: small models, and jobs run on the spot.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "daemon/catalog/create.h"
#include "daemon/jobs/describe.h"
#include "store/store_test_support.h"

namespace omg::testing {

/// For model_maker::Options, which headers may not include.
template <typename Options>
Options small_model() {
  Options options;
  options.layers = 1;
  options.embedding = 64;
  options.feed_forward = 64;
  options.heads = 2;
  options.kv_heads = 2;
  options.type = "F16";
  return options;
}

/// A job's report that writes down what it is told.
class ReportLog final : public JobReport {
 public:
  const CancellationToken& cancellation() const override { return token; }
  void set_phase(const std::string& phase) override {
    phases.push_back(phase);
    if (on_phase) on_phase(phase);
  }
  void set_files(std::vector<JobFile>, uint64_t completed, uint64_t total,
                 std::optional<double>) override {
    last_completed = completed;
    last_total = total;
  }
  void warn(const std::string& sentence) override { warnings.push_back(sentence); }
  void set_result(const std::string& model) override { result = model; }

  CancellationToken token;
  std::vector<std::string> phases, warnings;
  std::string result;
  uint64_t last_completed = 0, last_total = 0;
  std::function<void(const std::string&)> on_phase;
};

class CatalogFixture : public StoreFixture {
 protected:
  template <typename Options>
  std::string make_gguf(const std::string& name, const Options& options) {
    const std::string path = outside() + "/" + name;
    make_model(options, path);
    return path;
  }
  static std::string bytes_of(const std::string& path) {
    RealFileSystem files;
    return read_file(files, path, 256u << 20);
  }
  /// Installs the file as a pull does.
  void install(Store& store, const std::string& name, const std::string& path) {
    Lease lease;
    StoredModel model{StoreName(name)};
    Artifact artifact = store.put_file(path, ImportMode::kCopy, lease);
    artifact.filename = "model.gguf";
    artifact.format = "gguf";
    artifact.role = "weights";
    model.artifacts.push_back(artifact);
    describe_from_file(path, model);
    store.publish(std::move(model));
  }
  size_t blobs() { return names_in("blobs").size(); }
};

}  // namespace omg::testing
