// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/repair.h"

#include <memory>

#include "base/error.h"
#include "daemon/jobs/store_target.h"
#include "hub/model_name.h"

namespace omg {
namespace {

using Progress = std::function<void(const std::string&, const TransferProgress&)>;

/// What to ask a hub for to get the very files that the model has.
ModelName source_of(const StoredModel& model) {
  const ModelOrigin& origin = model.origin;
  switch (origin.provider) {
    case ModelProvider::kHuggingFace:
      return parse_model_name("hf.co/" + origin.repository + "@" + origin.commit);
    case ModelProvider::kRegistry: {
      const char* mark = origin.revision.starts_with("sha256:") ? "@" : ":";
      return parse_model_name(origin.endpoint + "/" + origin.repository + mark + origin.revision);
    }
    case ModelProvider::kUrl:
      return parse_model_name(origin.repository);
    default:
      throw Error(ErrorCode::kUnsupported,
                  "it did not come from a hub; import '" + model.name.str() + "' again");
  }
}

/// The remote model with all its files, for the one with the digest.
RemoteModel resolve(const PullParts& parts, const StoredModel& model) {
  SelectionOptions all;
  if (model.origin.provider == ModelProvider::kHuggingFace) all.include = {"*"};
  return parts.hub.resolve(source_of(model), all);
}

RemoteFile find_file(const RemoteModel& remote, const StoredModel& model, const Digest& digest) {
  for (const RemoteFile& file : remote.files) {
    if (file.sha256 == digest) return file;
  }
  // Small files have no SHA-256 at the hub; their names tell them.
  for (const Artifact& artifact : model.artifacts) {
    if (artifact.digest != digest) continue;
    for (const RemoteFile& file : remote.files) {
      if (file.path == artifact.filename && file.size == artifact.size && !file.sha256) return file;
    }
  }
  throw Error(ErrorCode::kNotFound, remote.name + " does not have it any more; 'omg pull " +
                                        model.name.str() + "' brings what is there now");
}

void fetch(const PullParts& parts, const VerifyReport::Bad& bad, RepairReport::Item& item,
           const Progress& progress, const CancellationToken& cancellation) {
  const StoredModel model = parts.store.require(StoreName(item.model));
  const RemoteModel remote = resolve(parts, model);
  const RemoteFile file = find_file(remote, model, *bad.digest);
  if (!bad.damaged.empty() && file.sha256) {
    if (const auto partial = parts.store.take_from_quarantine(*bad.digest)) {
      parts.transfers.keep_undamaged(partial->path(), file, bad.damaged);
    }
  }
  parts.store.check_space(parts.store.bytes_to_come(StoreTarget::key_of(remote, file), file.size));
  TransferRequest request;
  request.file = file;
  request.target = std::make_shared<StoreTarget>(parts.store, remote, file);
  request.cancellation = cancellation;
  request.progress = [&](const TransferProgress& now) {
    if (progress) progress(file.path, now);
  };
  const Transferred transferred = parts.transfers.fetch(request);
  item.fetched = transferred.fetched;
  if (transferred.sha256 != *bad.digest) {
    throw Error(ErrorCode::kCorrupt, remote.name + " has another '" + file.path +
                                         "' by now; 'omg pull " + item.model + "' brings it");
  }
}

/// Each model that needs the blob may know where it is.
RepairReport::Item repair(const PullParts& parts, const VerifyReport::Bad& bad,
                          const Progress& progress, const CancellationToken& cancellation) {
  RepairReport::Item item;
  item.path = bad.path;
  item.problem = "no model needs it";
  for (const std::string& model : bad.models) {
    item.model = model;
    try {
      fetch(parts, bad, item, progress, cancellation);
      item.problem.clear();
      break;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCancelled) throw;
      item.problem = error.what();
    }
  }
  return item;
}

}  // namespace

RepairReport repair_blobs(const PullParts& parts, const VerifyReport& report,
                          const Progress& progress, const CancellationToken& cancellation) {
  RepairReport repaired;
  for (const VerifyReport::Bad& bad : report.bad) {
    if (!bad.digest || bad.models.empty()) continue;
    repaired.items.push_back(repair(parts, bad, progress, cancellation));
  }
  return repaired;
}

}  // namespace omg
