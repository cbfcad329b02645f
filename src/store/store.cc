// SPDX-License-Identifier: Apache-2.0
//
// Opening the store, and its models: manifests and what is done by name.
#include "store/store.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>

#include "base/error.h"
#include "base/near_names.h"
#include "builtin/builtin.h"
#include "store/manifest.h"
#include "store/store_body.h"

namespace omg {
namespace {

constexpr std::string_view kVersion = "1\n";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string folder_of_options(const StoreOptions& options) {
  if (options.folder.empty()) return default_models_folder();
  std::string folder = std::filesystem::absolute(options.folder).lexically_normal().string();
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

int64_t machine_time() {
  using std::chrono::system_clock;
  return std::chrono::duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch())
      .count();
}

void check_version(FileSystem& files, const StorePaths& paths) {
  if (!files.info(paths.version())) {
    write_file_atomically(files, paths.temporary(0), paths.version(), kVersion);
    return;
  }
  const std::string version = read_file(files, paths.version(), 64);
  if (version == kVersion) return;
  throw Error(ErrorCode::kUnsupported,
              "cannot open the models directory " + paths.root() +
                  ": its version is not 1; it was made by a newer ohmygpu, so update this one");
}

/// What the system says of a place where nothing can be written. A version that is not ours, or a
/// file that is broken, is another matter.
bool is_about_writing(const Error& error) {
  return error.code() == ErrorCode::kIo || error.code() == ErrorCode::kNotFound ||
         error.code() == ErrorCode::kOutOfMemory;
}

std::optional<std::string> reference_problem(FileSystem& files, const FileReference& reference) {
  if (reference.owner == FileOwner::kProgram) return std::nullopt;
  std::optional<FileInfo> info;
  try {
    info = files.info(reference.path);
  } catch (const Error& error) {
    return error.what();
  }
  if (info && reference.matches(*info)) return std::nullopt;
  return changed_reference_message(reference, info);
}

}  // namespace

std::string default_models_folder() {
  const auto require_absolute = [](const std::string& path, const std::string& variable) {
    if (path.starts_with('/')) return path;
    throw Error(ErrorCode::kInvalidArgument, "cannot tell where models are: " + variable + " is '" +
                                                 path +
                                                 "', which is no absolute path; set it to one");
  };
  std::string models = environment("OMG_MODELS");
  if (!models.empty()) {
    models = require_absolute(models, "OMG_MODELS");
    while (models.size() > 1 && models.back() == '/') models.pop_back();
    return models;
  }
  const std::string data = environment("XDG_DATA_HOME");
  if (data.starts_with('/')) return data + "/ohmygpu/models";  // relative ones are to be ignored
  const std::string home = environment("HOME");
  if (home.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "cannot tell where models are: neither OMG_MODELS, XDG_DATA_HOME nor HOME is set; "
                "set OMG_MODELS");
  }
  return require_absolute(home, "HOME") + "/.local/share/ohmygpu/models";
}

// Body.

Store::Body::Body(const StoreOptions& options)
    : files(options.files != nullptr ? *options.files : real),
      paths(folder_of_options(options)),
      now(options.now ? options.now : machine_time),
      built_in(options.built_in) {}

void Store::Body::prepare_folder() {
  make_folders(files, paths.root());
  for (const std::string& folder :
       {paths.blobs(), paths.pieces(), paths.manifests(), paths.partials(), paths.linked(),
        paths.views(), paths.quarantine(), paths.temporaries()}) {
    make_folders(files, folder);
  }
  // Temporary files are only made under the lock: who gets it sees those of the dead alone. Who
  // does not get it leaves them to the next one.
  if (const auto lock = files.lock(paths.lock(), LockMode::kExclusive, LockWait::kNo)) {
    for (const std::string& name : files.list(paths.temporaries())) {
      files.remove(paths.temporaries() + "/" + name);
    }
    check_version(files, paths);
  }
}

void Store::Body::open_for_reading(const Error& why) {
  read_only_reason = why.what();
  try {
    if (files.info(paths.version())) check_version(files, paths);
    files.list(paths.manifests());
  } catch (const Error& error) {
    if (!is_about_writing(error)) throw;
    has_manifests = false;
  }
}

void Store::Body::require_writable() const {
  if (!read_only_reason) return;
  throw Error(ErrorCode::kIo, "the models directory " + paths.root() +
                                  " cannot be changed: " + *read_only_reason +
                                  "; set OMG_MODELS to a folder that can be written");
}

std::unique_ptr<FileLock> Store::Body::write_lock() {
  require_writable();
  return files.lock(paths.lock(), LockMode::kExclusive, LockWait::kYes);
}

StoreState& Store::Body::state() {
  require_writable();
  const std::lock_guard guard(state_mutex);
  if (!opened_state) opened_state = std::make_unique<StoreState>(paths.state());
  return *opened_state;
}

const StoredModel* Store::Body::find_built_in(const StoreName& name) const {
  const auto found = std::find_if(built_in.begin(), built_in.end(),
                                  [&](const StoredModel& model) { return model.name == name; });
  return found == built_in.end() ? nullptr : &*found;
}

void Store::Body::take_built_in(StoredModel& model, Lease& lease) {
  for (Artifact& artifact : model.artifacts) {
    if (!artifact.is_in_program()) continue;
    const auto bytes = builtin_bytes(artifact.reference->path).value();
    artifact.digest = put_bytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, lease);
    artifact.reference.reset();
  }
  if (!model.is_built_in()) return;
  model.base = model.origin.repository;
  model.origin = {ModelProvider::kCreated, "", model.base, "", ""};
  model.installed_at = now();
}

Store::Body::Manifests Store::Body::read_manifests() {
  Manifests manifests;
  if (!has_manifests) return manifests;
  for (const std::string& file_name : files.list(paths.manifests())) {
    const std::string path = paths.manifests() + "/" + file_name;
    try {
      const std::string text = read_file(files, path, kMaxManifestBytes);
      StoredModel model = manifest_from_json(text, path);
      if (paths.manifest(model.name) != path) {
        throw Error(ErrorCode::kCorrupt, path + " is the manifest of another name, '" +
                                             model.name.str() + "'; remove it or rename it to " +
                                             paths.manifest(model.name));
      }
      manifests.models.push_back(std::move(model));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kNotFound) continue;  // removed meanwhile
      manifests.problems.push_back({path, error.what()});
    }
  }
  return manifests;
}

std::optional<StoredModel> Store::Body::read_manifest(const StoreName& name) {
  const std::string path = paths.manifest(name);
  if (!has_manifests || !files.info(path)) return std::nullopt;
  try {
    StoredModel model = manifest_from_json(read_file(files, path, kMaxManifestBytes), path);
    if (model.name != name) {
      throw Error(ErrorCode::kCorrupt, path + " is the manifest of '" + model.name.str() + "'");
    }
    return model;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return std::nullopt;
    if (error.code() != ErrorCode::kCorrupt && error.code() != ErrorCode::kLimitExceeded) throw;
    throw Error(ErrorCode::kCorrupt, "cannot use '" + name.str() + "': " + error.what() +
                                         "; pull it again, or remove it with 'omg rm'");
  }
}

void Store::Body::write_manifest(const StoredModel& model) {
  write_file_atomically(files, paths.temporary(serial()), paths.manifest(model.name),
                        manifest_to_json(model));
}

uint64_t Store::Body::serial() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

// Store: opening.

Store::Store(std::unique_ptr<Body> body) : body_(std::move(body)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Store Store::open(const StoreOptions& options) {
  auto body = std::make_unique<Body>(options);
  try {
    body->prepare_folder();
  } catch (const Error& error) {
    if (!options.may_be_read_only || !is_about_writing(error)) throw;
    body->open_for_reading(error);
  }
  return Store(std::move(body));
}

const std::string& Store::folder() const {
  return body_->paths.root();
}

const std::optional<std::string>& Store::read_only_reason() const {
  return body_->read_only_reason;
}

// Store: models.

StoreListing Store::list() const {
  Body::Manifests manifests = body_->read_manifests();
  StoreListing listing;
  listing.problems = std::move(manifests.problems);
  if (!body_->has_manifests) {
    listing.problems.push_back({body_->paths.root(), *body_->read_only_reason});
  }
  std::map<std::string, int64_t> used;
  try {
    if (!body_->read_only_reason) used = body_->state().all_last_used();
  } catch (const Error& error) {  // models are listed without it
    listing.problems.push_back({body_->paths.state(), error.what()});
  }
  for (StoredModel& model : manifests.models) {
    const auto found = used.find(model.name.key());
    listing.models.push_back({std::move(model), std::nullopt});
    if (found != used.end()) listing.models.back().last_used = found->second;
  }
  return listing;
}

std::vector<ListedModel> Store::built_in() const {
  std::vector<ListedModel> models;
  for (const StoredModel& model : body_->built_in) {
    try {
      if (!require(model.name).is_built_in()) continue;
    } catch (const Error&) {  // hidden by what cannot be read
      continue;
    }
    models.push_back({model, std::nullopt});
    try {
      models.back().last_used = last_used(model.name);
    } catch (const Error&) {  // listed without it
    }
  }
  return models;
}

std::optional<StoredModel> Store::find(const StoreName& name) const {
  if (auto model = body_->read_manifest(name)) return model;
  const StoredModel* built_in = body_->find_built_in(name);
  if (built_in == nullptr) return std::nullopt;
  return *built_in;
}

StoredModel Store::require(const StoreName& name) const {
  if (auto model = find(name)) return std::move(*model);
  std::vector<std::string> names;
  for (const StoredModel& model : body_->read_manifests().models) names.push_back(model.name.str());
  throw Error(ErrorCode::kNotFound, "model '" + name.str() + "' is not here" +
                                        did_you_mean(near_names(name.str(), names)));
}

void Store::publish(StoredModel model) {
  Lease lease;
  body_->take_built_in(model, lease);
  if (model.installed_at == 0) model.installed_at = body_->now();
  const auto lock = body_->write_lock();
  const std::vector<StoreProblem> problems = missing(model);
  if (!problems.empty()) {
    throw Error(ErrorCode::kNotFound,
                "cannot publish '" + model.name.str() + "': " + problems.front().message);
  }
  // Another process may have put a blob here and not got to making its name durable.
  const bool has_blobs = std::any_of(model.artifacts.begin(), model.artifacts.end(),
                                     [](const Artifact& a) { return a.is_blob(); });
  if (has_blobs) body_->files.sync_folder(body_->paths.blobs());
  body_->write_manifest(model);
}

void Store::copy(const StoreName& from, const StoreName& to) {
  StoredModel model = require(from);
  model.name = to;
  publish(std::move(model));
}

bool Store::remove(const StoreName& name) {
  {
    const auto lock = body_->write_lock();
    if (!body_->files.remove(body_->paths.manifest(name))) return false;
    body_->files.sync_folder(body_->paths.manifests());
  }
  try {
    body_->state().forget(name.key());
  } catch (const Error&) {  // a row for a name that is no more does no harm
  }
  return true;
}

std::vector<StoreProblem> Store::missing(const StoredModel& model) const {
  std::vector<StoreProblem> problems;
  for (const Artifact& artifact : model.artifacts) {
    if (artifact.reference) {
      if (auto problem = reference_problem(body_->files, *artifact.reference)) {
        problems.push_back({artifact.reference->path, std::move(*problem)});
      }
      continue;
    }
    if (!artifact.digest) {
      problems.push_back({artifact.filename, "its file " + artifact.filename + " has no digest"});
      continue;
    }
    const std::string path = body_->paths.blob(*artifact.digest);
    const auto info = body_->files.info(path);
    if (!info || !info->is_file()) {
      problems.push_back({path, "the bytes of its file " + artifact.filename + " (" +
                                    artifact.digest->str() +
                                    ") are not here; 'omg verify --repair' brings "
                                    "them back"});
    } else if (info->size != artifact.size) {
      problems.push_back({path, "its file " + artifact.filename + " has " +
                                    std::to_string(info->size) + " bytes instead of " +
                                    std::to_string(artifact.size) +
                                    "; 'omg verify --repair' mends it"});
    }
  }
  return problems;
}

UsedModel Store::use(const StoreName& name) {
  UsedModel used(require(name));
  for (const Artifact& artifact : used.model_.artifacts) {
    const std::string path =
        artifact.reference ? artifact.reference->path : body_->paths.blob(*artifact.digest);
    // What is not there is told below, with all its reasons.
    if (path.starts_with(body_->paths.root() + "/")) body_->protect(path, used.lease_);
    used.files_.push_back({artifact, path});
  }
  const std::vector<StoreProblem> problems = missing(used.model_);
  if (!problems.empty()) {
    throw Error(ErrorCode::kCorrupt,
                "cannot use '" + name.str() + "': " + problems.front().message);
  }
  try {
    touch(name);
  } catch (const Error&) {  // a run does not fail for it
  }
  return used;
}

std::string Store::view(UsedModel& used) {
  FileSystem& files = body_->files;
  const std::string root = body_->paths.view(used.model_.files_digest());
  const std::string lock_path = root + std::string(StorePaths::kLockSuffix);
  auto& lock = used.lease_.locks_[lock_path];
  if (!lock) lock = files.lock(lock_path, LockMode::kShared, LockWait::kYes);
  files.make_folder(root);
  for (const UsedFile& file : used.files_) {
    const std::string path = root + "/" + file.artifact.filename;
    if (folder_of(path) != root) make_folders(files, folder_of(path));
    if (files.info(path) && files.read_link(path) == file.path) continue;
    // Two runs may make the same view at once: each link appears whole, by a rename.
    const auto write_lock = body_->write_lock();
    const std::string temporary = body_->paths.temporary(body_->serial());
    files.make_link(file.path, temporary);
    files.rename(temporary, path);
  }
  return root;
}

std::string Store::path_for_reader(UsedModel& used, const Artifact& file) {
  const auto found = std::find_if(used.files_.begin(), used.files_.end(), [&](const UsedFile& one) {
    return one.artifact.filename == file.filename;
  });
  // Parts of a split model are looked for by name, which only a view has.
  const bool needs_names =
      std::count_if(used.files_.begin(), used.files_.end(),
                    [](const auto& one) { return one.artifact.role == "weights"; }) > 1;
  const bool needs_no_view = file.is_in_program() || (body_->read_only_reason && !needs_names);
  if (needs_no_view && found != used.files_.end()) return found->path;
  return view(used) + "/" + file.filename;
}

void Store::touch(const StoreName& name) {
  body_->state().set_last_used(name.key(), body_->now());
}

std::optional<int64_t> Store::last_used(const StoreName& name) const {
  return body_->state().last_used(name.key());
}

void Store::put_job(JobRecord job) {
  job.updated_at = body_->now();
  body_->state().put_job(job);
}

std::vector<JobRecord> Store::jobs() const {
  return body_->state().jobs();
}

void Store::remove_job(const std::string& id) {
  body_->state().remove_job(id);
}

}  // namespace omg
