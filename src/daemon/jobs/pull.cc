// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/pull.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/hardware.h"
#include "daemon/jobs/describe.h"
#include "daemon/jobs/installed.h"
#include "daemon/jobs/registry_settings.h"
#include "daemon/jobs/store_target.h"
#include "daemon/jobs/supported.h"
#include "hub/first_bytes.h"

namespace omg {
namespace {

std::string format_of(const std::string& path) {
  for (const char* format : {"gguf", "safetensors", "json"}) {
    if (path.ends_with(std::string(".") + format)) return format;
  }
  return "";
}

std::string role_name(RemoteFileRole role) {
  switch (role) {
    case RemoteFileRole::kWeights:
      return "weights";
    case RemoteFileRole::kProjector:
      return "projector";
    case RemoteFileRole::kAdapter:
      return "adapter";
    case RemoteFileRole::kConfig:
      return "config";
    case RemoteFileRole::kTemplate:
      return "template";
    case RemoteFileRole::kLicense:
      return "license";
    case RemoteFileRole::kOther:
      break;
  }
  return "other";
}

ModelProvider provider_of(RemoteSource source) {
  switch (source) {
    case RemoteSource::kHuggingFace:
      return ModelProvider::kHuggingFace;
    case RemoteSource::kRegistry:
      return ModelProvider::kRegistry;
    case RemoteSource::kUrl:
      break;
  }
  return ModelProvider::kUrl;
}

/// One pull under way.
class Pull {
 public:
  Pull(const PullParts& parts, const PullOptions& options,
       const std::function<void(const PullProgress&)>& progress,
       const CancellationToken& cancellation)
      : parts_(parts), options_(options), progress_(progress), cancellation_(cancellation) {}

  PullResult run(const std::string& text) {
    if (const auto name = find_spelling(parts_.store, text)) {
      StoredModel model = parts_.store.require(*name);
      if (model.is_built_in()) return {std::move(model), 0, true};
    }
    const ModelName typed = parse_model_name(text);
    RemoteModel remote = resolve(typed);
    // An alias is what the user will ask for again; other names become what was chosen.
    const bool is_alias = std::holds_alternative<AliasName>(typed);
    now_.name = is_alias ? to_string(typed) : remote.name;
    if (const auto there = whole_in_store(remote)) return {*there, 0, true};
    refuse_unknown_family(remote);
    check_space(remote);
    StoredModel model = new_model(remote);
    for (size_t attempt = 0;; ++attempt) {
      try {
        fetch_all(remote, model);
        break;
      } catch (const RemoteFileChanged&) {
        if (attempt == 1) throw;  // whoever changes it does so faster than we can read
        remote = resolve(typed);
        model = new_model(remote);
      }
    }
    return publish(remote, std::move(model));
  }

 private:
  void report(PullPhase phase) {
    cancellation_.throw_if_cancelled();
    now_.phase = phase;
    now_.done = 0;
    now_.total = 0;
    for (const PullFile& file : now_.files) {
      now_.done += file.was_there ? file.size : file.transfer.done;
      now_.total += file.size;
    }
    if (progress_) progress_(now_);
  }

  RemoteModel resolve(const ModelName& typed) {
    report(PullPhase::kResolving);
    ModelName name = parts_.hub.expand(typed);
    if (auto* repository = std::get_if<HuggingFaceName>(&name)) {
      if (!options_.revision.empty()) repository->revision = options_.revision;
    } else if (!options_.revision.empty()) {
      throw Error(ErrorCode::kInvalidArgument,
                  "'" + to_string(typed) +
                      "' has no revisions: those are of repositories on Hugging Face; leave "
                      "--revision away");
    }
    SelectionOptions selection = options_.selection;
    if (!selection.memory_bytes) selection.memory_bytes = usable_memory();
    RemoteModel remote = parts_.hub.resolve(name, selection);
    now_.files.clear();
    for (const RemoteFile& file : remote.files) {
      const std::string digest = file.sha256 ? file.sha256->str() : "";
      now_.files.push_back({file.path, file.size, digest, false, {}});
    }
    return remote;
  }

  /// The model of this name, if it is of the same commit and all its files are there.
  std::optional<StoredModel> whole_in_store(const RemoteModel& remote) const {
    std::optional<StoredModel> model;
    try {
      model = parts_.store.find(StoreName(now_.name));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCorrupt) throw;
      return std::nullopt;  // a damaged manifest is replaced
    }
    if (!model || model->origin.commit != remote.commit ||
        model->origin.repository != remote.repository || remote.commit.empty() ||
        model->artifacts.size() != remote.files.size() || !parts_.store.missing(*model).empty()) {
      return std::nullopt;
    }
    for (size_t i = 0; i < remote.files.size(); ++i) {
      if (model->artifacts[i].filename != remote.files[i].path) return std::nullopt;
    }
    return model;
  }

  void refuse_unknown_family(const RemoteModel& remote) {
    if (options_.any_family) return;
    const RemoteFile* telling = telling_file(remote);
    if (telling == nullptr) return;
    const std::string bytes = fetch_first_bytes(parts_.client, *telling);
    const auto family = family_in_first_bytes(telling->path, bytes);
    if (family && !is_supported_family(*family)) throw unsupported_family(now_.name, *family);
  }

  /// For what is neither in the store nor, in part, in its downloads.
  void check_space(const RemoteModel& remote) {
    uint64_t missing = 0;
    for (const RemoteFile& file : remote.files) {
      if (file.sha256 && parts_.store.locate(*file.sha256, lease_)) continue;
      missing += parts_.store.bytes_to_come(StoreTarget::key_of(remote, file), file.size);
    }
    parts_.store.check_space(missing);
  }

  StoredModel new_model(const RemoteModel& remote) const {
    StoredModel model{StoreName(now_.name)};
    model.origin = {provider_of(remote.source), remote.endpoint, remote.repository, remote.revision,
                    remote.commit};
    model.license = remote.license;
    model.quantization = remote.quantization;
    if (!remote.manifest.empty()) model.extra["manifest"] = remote.manifest;
    return model;
  }

  void fetch_all(const RemoteModel& remote, StoredModel& model) {
    // Small files first: what is wrong with a repository shows before gigabytes are fetched.
    std::vector<size_t> order(remote.files.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return remote.files[a].size < remote.files[b].size;
    });
    model.artifacts.assign(remote.files.size(), {});
    for (const size_t i : order) model.artifacts[i] = fetch(remote, i);
  }

  Artifact fetch(const RemoteModel& remote, size_t index) {
    const RemoteFile& file = remote.files[index];
    const auto target = std::make_shared<StoreTarget>(parts_.store, remote, file);
    targets_.push_back(target);
    TransferRequest request;
    request.file = file;
    request.target = target;
    request.cancellation = cancellation_;
    request.progress = [&](const TransferProgress& transfer) {
      now_.files[index].transfer = transfer;
      report(PullPhase::kTransferring);
    };
    request.renew = [&] { return renewed(remote, file); };
    const Transferred transferred = parts_.transfers.fetch(request);
    fetched_ += transferred.fetched;
    now_.files[index].was_there = transferred.fetched == 0;
    Artifact artifact = target->found().value_or(Artifact{});
    artifact.filename = file.path;
    artifact.size = transferred.size;
    artifact.digest = transferred.sha256;
    artifact.etag = file.etag;
    artifact.format = format_of(file.path);
    artifact.role = role_name(file.role);
    artifact.media_type = file.media_type;
    return artifact;
  }

  /// The same file with fresh credentials.
  RemoteFile renewed(const RemoteModel& remote, const RemoteFile& file) {
    const RemoteModel again = parts_.hub.resolve(parse_model_name(remote.name), options_.selection);
    for (const RemoteFile& candidate : again.files) {
      if (candidate.path == file.path) return candidate;
    }
    throw RemoteFileChanged("'" + file.path + "' is not in " + remote.name + " any more");
  }

  PullResult publish(const RemoteModel& remote, StoredModel model) {
    report(PullPhase::kPublishing);
    if (remote.source == RemoteSource::kRegistry) read_registry_settings(parts_.store, model);
    if (const auto main = main_gguf(model)) {
      const Artifact& artifact = model.artifacts[*main];
      const auto weights = std::count_if(
          model.artifacts.begin(), model.artifacts.end(),
          [](const Artifact& a) { return a.role == "weights" && a.format == "gguf"; });
      if (weights == 1) {
        describe_from_file(artifact.reference ? artifact.reference->path
                                              : parts_.store.blob_path(*artifact.digest),
                           model);
      } else {
        describe_parts(model, artifact.filename);
      }
    }
    parts_.store.publish(model);
    report(PullPhase::kDone);
    return {parts_.store.require(model.name), fetched_, false};
  }

  /// Parts are read side by side, under their names: as a run sees them. What turns out to be no
  /// model does not stay.
  void describe_parts(StoredModel& model, const std::string& first) {
    parts_.store.publish(model);
    try {
      UsedModel used = parts_.store.use(model.name);
      describe_from_file(parts_.store.view(used) + "/" + first, model);
    } catch (const Error&) {
      parts_.store.remove(model.name);
      throw;
    }
  }

  const PullParts& parts_;
  const PullOptions& options_;
  const std::function<void(const PullProgress&)>& progress_;
  const CancellationToken& cancellation_;
  Lease lease_;  // on what was found before anything was fetched
  std::vector<std::shared_ptr<StoreTarget>> targets_;
  PullProgress now_;
  uint64_t fetched_ = 0;
};

}  // namespace

PullResult pull_model(const PullParts& parts, const std::string& name, const PullOptions& options,
                      const std::function<void(const PullProgress&)>& progress,
                      const CancellationToken& cancellation) {
  return Pull(parts, options, progress, cancellation).run(name);
}

}  // namespace omg
