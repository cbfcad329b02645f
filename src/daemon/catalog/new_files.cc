// SPDX-License-Identifier: Apache-2.0
#include "daemon/catalog/new_files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/piece_states.h"
#include "daemon/jobs/describe.h"
#include "daemon/jobs/supported.h"
#include "formats/convert/quantize_file.h"
#include "formats/open_model_file.h"
#include "store/manifest.h"

namespace omg {
namespace {

std::string path_of(const Store& store, const Artifact& artifact) {
  return artifact.reference ? artifact.reference->path : store.blob_path(*artifact.digest);
}

/// A folder in which a model that is none yet has its files under their own names, as readers of
/// split ones want it. Of links; goes when destroyed.
class NamedFiles {
 public:
  NamedFiles(const Store& store, const std::vector<Artifact>& artifacts) {
    std::string pattern = std::filesystem::temp_directory_path() / "omg-create-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw system_error("cannot make " + pattern, errno);
    folder_ = pattern;
    RealFileSystem files;
    for (const Artifact& artifact : artifacts) {
      if (artifact.is_in_program()) continue;
      const std::string path = folder_ + "/" + artifact.filename;
      make_folders(files, folder_of(path));
      files.make_link(path_of(store, artifact), path);
    }
  }
  NamedFiles(const NamedFiles&) = delete;
  ~NamedFiles() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string path(const Artifact& artifact) const {
    return artifact.is_in_program() ? artifact.reference->path : folder_ + "/" + artifact.filename;
  }

 private:
  std::string folder_;
};

bool begins_as_gguf(const std::string& path) {
  RealFileSystem files;
  std::array<std::byte, 4> begin{};
  files.open(path, OpenMode::kRead)->read_at(0, begin);
  return std::string_view(reinterpret_cast<const char*>(begin.data()), begin.size()) == "GGUF";
}

Artifact require_blob(const Store& store, const std::string& name, const Digest& digest,
                      Lease& lease) {
  auto artifact = store.locate(digest, lease);
  if (!artifact) {
    throw Error(ErrorCode::kNotFound, "the blob " + digest.str() + " of '" + name +
                                          "' is not here; upload it, then create the model");
  }
  if (!begins_as_gguf(path_of(store, *artifact))) {
    if (name.ends_with(".safetensors") || name.ends_with(".json")) {
      throw Error(
          ErrorCode::kUnsupported,
          "'" + name + "': models are made of .gguf files; safetensors cannot be converted yet");
    }
    throw Error(ErrorCode::kInvalidArgument, "'" + name + "' is no GGUF file; give a .gguf");
  }
  artifact->filename = name.ends_with(".gguf") ? name : name + ".gguf";
  artifact->format = "gguf";
  return std::move(*artifact);
}

std::string role_of(const ModelFile& file) {
  const std::string type(file.metadata().find_string("general.type").value_or(""));
  const std::string family(file.metadata().find_string("general.architecture").value_or(""));
  if (type == "adapter") return "adapter";
  if (type == "mmproj" || family == "clip") return "projector";
  return "weights";
}

/// Opens each model among the files once, all parts of a split one together, and says in `role`
/// what they are. Returns how many models of weights there are.
size_t find_roles(const NamedFiles& named, std::vector<Artifact>& artifacts) {
  size_t models = 0;
  for (Artifact& artifact : artifacts) {
    if (!artifact.role.empty()) continue;
    const ModelFile file = open_model_file(named.path(artifact));
    const std::string role = role_of(file);
    if (role == "adapter") {
      throw Error(ErrorCode::kUnsupported, "'" + artifact.filename +
                                               "' is a LoRA adapter, which cannot be used yet; "
                                               "merge it into its model");
    }
    models += role == "weights" ? 1 : 0;
    for (const MappedFile& part : file.files()) {
      for (Artifact& other : artifacts) {
        if (named.path(other) == part.path()) other.role = role;
      }
    }
    artifact.role = role;
  }
  return models;
}

std::vector<Artifact> weights_of(const StoredModel& model) {
  std::vector<Artifact> weights;
  for (const Artifact& artifact : model.artifacts) {
    if (artifact.role == "weights" && artifact.format == "gguf") weights.push_back(artifact);
  }
  return weights;
}

/// Room for what will be written, told beforehand.
uint64_t planned_bytes(const ModelFile& file, const QuantizeFileOptions& options) {
  uint64_t sum = 0;
  const std::vector<TensorConversion> plan = plan_quantization(file, options);
  for (const TensorView& tensor : file.tensors()) {
    const auto found = std::find_if(plan.begin(), plan.end(), [&](const TensorConversion& change) {
      return change.name == tensor.name;
    });
    if (found == plan.end()) continue;
    const uint64_t row = row_bytes(found->to, tensor.shape[0]).value_or(0);
    sum = checked_add(sum, checked_mul(row, tensor.rows()).value_or(0)).value_or(UINT64_MAX / 2);
  }
  return sum;
}

void require_full_precision(const ModelFile& file, const std::string& name) {
  for (const TensorView& tensor : file.tensors()) {
    if (info(tensor.type).block_elements == 1) continue;
    throw Error(ErrorCode::kInvalidArgument,
                "quantization is only supported for F16, BF16 and F32 models: '" + name + "' has " +
                    std::string(info(tensor.type).name) + " in " +
                    std::string(tensor.name.substr(0, 100)) + "; begin with the original");
  }
}

struct Hashed {
  Digest digest;
  uint64_t size;
  PieceStates pieces;
};

Hashed hash(const std::string& path, const CancellationToken& cancellation) {
  RealFileSystem files;
  const auto file = files.open(path, OpenMode::kRead);
  std::vector<std::byte> piece(4u << 20);
  PieceHasher hasher;
  uint64_t size = 0;
  while (const size_t count = file->read_at(size, piece)) {
    cancellation.throw_if_cancelled();
    hasher.update(std::span(piece).first(count));
    size += count;
  }
  return {hasher.digest(), size, hasher.states()};
}

/// What the old weights said of themselves, forgotten.
void describe_anew(const std::string& path, StoredModel& model) {
  model.quantization.clear();
  model.parameter_count = 0;
  model.extra.erase("memory");
  describe_from_file(path, model);
}

}  // namespace

void add_uploaded_files(Store& store, const std::map<std::string, Digest>& files,
                        StoredModel& model, Lease& lease) {
  std::vector<Artifact> artifacts;
  for (const auto& [name, digest] : files) {
    artifacts.push_back(require_blob(store, name, digest, lease));
  }
  // By the names that they have now: two may have become one.
  std::sort(artifacts.begin(), artifacts.end(),
            [](const Artifact& a, const Artifact& b) { return a.filename < b.filename; });
  const auto twice = std::adjacent_find(
      artifacts.begin(), artifacts.end(),
      [](const Artifact& a, const Artifact& b) { return a.filename == b.filename; });
  if (twice != artifacts.end()) {
    throw Error(ErrorCode::kInvalidArgument, "two files are named '" + twice->filename + "'");
  }
  const NamedFiles named(store, artifacts);
  const size_t models = find_roles(named, artifacts);
  if (models != 1) {
    throw Error(ErrorCode::kInvalidArgument,
                models == 0 ? "there are no weights among the files; add the model's .gguf"
                            : "there are " + std::to_string(models) +
                                  " models among the files; make one model of each");
  }
  std::stable_partition(artifacts.begin(), artifacts.end(),
                        [](const Artifact& a) { return a.role == "weights"; });
  model.artifacts = std::move(artifacts);
  describe_anew(named.path(model.artifacts.front()), model);
  if (!is_supported_family(model.family)) throw unsupported_family(model.name.str(), model.family);
}

void quantize_weights(Store& store, const std::string& type, StoredModel& model, Lease& lease,
                      JobReport& report) {
  const std::vector<Artifact> weights = weights_of(model);
  if (weights.empty()) {
    throw Error(ErrorCode::kUnsupported, "'" + model.name.str() + "' has no .gguf to quantize");
  }
  const NamedFiles named(store, weights);
  const std::string in = named.path(weights.front());
  QuantizeFileOptions options;
  options.type = type;
  options.cancellation = report.cancellation();
  {
    const ModelFile file = open_model_file(in);
    require_full_precision(file, model.name.str());
    store.check_space(planned_bytes(file, options));
  }
  const std::string from = model.quantization.empty() ? "the" : model.quantization;
  report.set_phase("quantizing " + from + " model to " + type);
  const std::string filename = "model-" + type + ".gguf";
  options.on_progress = [&](const QuantizeProgress& now) {
    report.set_files({{filename, "", now.bytes, now.bytes_read}}, now.bytes_read, now.bytes);
  };
  std::random_device random;
  auto partial = store.try_lock_partial(
      PartialKey("create " + std::to_string(uint64_t{random()} << 32 | random())));
  if (!partial) throw Error(ErrorCode::kUnavailable, "cannot make a file; try again");
  const std::string out = partial->path();
  try {
    quantize_file(in, out, options);
    report.set_phase("verifying conversion");
    describe_anew(out, model);
    const Hashed hashed = hash(out, report.cancellation());
    store.put_blob(std::move(*partial), hashed.digest, hashed.size, lease, hashed.pieces);
    Artifact artifact;
    artifact.filename = filename;
    artifact.size = hashed.size;
    artifact.digest = hashed.digest;
    artifact.format = "gguf";
    artifact.role = "weights";
    std::erase_if(model.artifacts,
                  [](const Artifact& a) { return a.role == "weights" && a.format == "gguf"; });
    model.artifacts.insert(model.artifacts.begin(), std::move(artifact));
  } catch (...) {
    std::error_code ignored;  // nothing of it can be gone on with
    std::filesystem::remove(out, ignored);
    throw;
  }
}

}  // namespace omg
