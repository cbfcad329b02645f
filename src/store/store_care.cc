// SPDX-License-Identifier: Apache-2.0
//
// Collecting what nobody needs, and reading everything again to see that it is whole.
#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "store/store_body.h"

namespace omg {
namespace {

/// One collection, under the write lock: no name appears meanwhile.
class Collector {
 public:
  Collector(FileSystem& files, const StorePaths& paths, const GcOptions& options, int64_t now)
      : files_(files), paths_(paths), options_(options), now_(now) {}

  void need(const StoredModel& model) {
    for (const Artifact& artifact : model.artifacts) {
      if (artifact.reference) {
        needed_.insert(artifact.reference->path);
      } else if (artifact.digest) {
        needed_.insert(paths_.blob(*artifact.digest));
      }
    }
    needed_.insert(paths_.view(model.files_digest()));
  }

  GcReport collect() {
    collect_leased(paths_.blobs());
    collect_leased(paths_.linked());
    collect_pieces();
    collect_all(paths_.quarantine());
    collect_all(paths_.temporaries());
    collect_partials();
    collect_views();
    return std::move(report_);
  }

 private:
  void remove(const std::string& path) {
    const auto info = files_.info(path);
    if (!info) return;
    // Bytes with a second name elsewhere stay on the disk.
    const uint64_t freed = info->links > 1 ? 0 : info->allocated;
    if (!options_.dry_run && !files_.remove(path)) return;
    report_.removed.push_back({path, freed});
    report_.freed_bytes += freed;
  }

  /// Files that a lease may hold by a shared lock.
  void collect_leased(const std::string& folder) {
    bool removed = false;
    for (const std::string& name : files_.list(folder)) {
      const std::string path = folder + "/" + name;
      if (needed_.contains(path)) continue;
      // Held while it goes: a lease that waits for it finds that there is nothing any more.
      const auto lock =
          files_.lock(path, LockMode::kExclusive, LockWait::kNo, LockMissing::kRefuse);
      if (!lock) continue;
      remove(path);
      removed = true;
    }
    if (removed && !options_.dry_run) files_.sync_folder(folder);
  }

  void collect_pieces() {
    for (const std::string& name : files_.list(paths_.pieces())) {
      if (!files_.info(paths_.blobs() + "/" + name)) remove(paths_.pieces() + "/" + name);
    }
  }

  void collect_all(const std::string& folder) {
    for (const std::string& name : files_.list(folder)) remove(folder + "/" + name);
  }

  /// Partials by the key that their files' names begin with.
  void collect_partials() {
    std::map<std::string, std::vector<std::string>> files_of_key;
    for (const std::string& name : files_.list(paths_.partials())) {
      files_of_key[name.substr(0, name.find('.'))].push_back(name);
    }
    for (const auto& [key, names] : files_of_key) {
      const std::string lock_path =
          paths_.partials() + "/" + key + std::string(StorePaths::kLockSuffix);
      const bool had_lock = files_.info(lock_path).has_value();
      const auto lock = files_.lock(lock_path, LockMode::kExclusive, LockWait::kNo);
      if (!lock) continue;  // somebody works on it
      const bool keep = !is_finished(key) && is_fresh(names);
      if (!keep) {
        for (const std::string& name : names) {
          if (!name.ends_with(StorePaths::kLockSuffix)) remove(paths_.partials() + "/" + name);
        }
      }
      if ((!keep && !options_.dry_run) || !had_lock) files_.remove(lock_path);
    }
    if (!options_.dry_run) files_.sync_folder(paths_.partials());
  }

  bool is_finished(const std::string& key) {
    const auto digest = Digest::parse(key);
    return digest && files_.info(paths_.blob(*digest)).has_value();
  }

  bool is_fresh(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (name.ends_with(StorePaths::kLockSuffix)) continue;
      const auto info = files_.info(paths_.partials() + "/" + name);
      if (!info) continue;
      const int64_t age = now_ - info->modified_ns / 1'000'000'000;
      if (age < options_.keep_partials.count()) return true;
    }
    return false;
  }

  void collect_views() {
    for (const std::string& name : files_.list(paths_.views())) {
      const std::string path = paths_.views() + "/" + name;
      if (name.ends_with(StorePaths::kLockSuffix)) {
        if (!files_.info(path.substr(0, path.size() - StorePaths::kLockSuffix.size()))) {
          collect_view_lock(path);
        }
        continue;
      }
      if (needed_.contains(path)) continue;
      const std::string lock_path = path + std::string(StorePaths::kLockSuffix);
      const auto lock = files_.lock(lock_path, LockMode::kExclusive, LockWait::kNo);
      if (!lock) continue;
      collect_folder(path, 0);
      if (!options_.dry_run) files_.remove(lock_path);
    }
  }

  void collect_view_lock(const std::string& path) {
    const auto lock = files_.lock(path, LockMode::kExclusive, LockWait::kNo);
    if (lock && !options_.dry_run) files_.remove(path);
  }

  /// A view's folder: links, and folders of them as deep as file names go.
  void collect_folder(const std::string& path, int depth) {
    constexpr int kMaxDepth = 600;
    const auto info = files_.info(path);
    if (!info || depth > kMaxDepth) return;
    if (!info->is_folder()) return remove(path);
    for (const std::string& name : files_.list(path)) collect_folder(path + "/" + name, depth + 1);
    if (!options_.dry_run) files_.remove_folder(path);
  }

  FileSystem& files_;
  const StorePaths& paths_;
  const GcOptions& options_;
  int64_t now_;
  std::set<std::string> needed_;
  GcReport report_;
};

/// A file to read again, and who needs it.
struct Target {
  std::string path;
  std::optional<Digest> digest;
  std::optional<FileReference> reference;
  uint64_t size = 0;
  std::vector<std::string> models;
};

/// "1.0 MB at 3.1 MB and 1.0 MB at 9.4 MB", the first three.
std::string human_ranges(const std::vector<FileRange>& ranges) {
  std::string text;
  for (size_t i = 0; i < ranges.size() && i < 3; ++i) {
    text += (i == 0 ? "" : ", ") + human_bytes(ranges[i].end - ranges[i].begin) + " at " +
            human_bytes(ranges[i].begin);
  }
  return text + (ranges.size() > 3 ? " and more" : "");
}

std::vector<Target> targets_of(const StorePaths& paths, const std::vector<StoredModel>& models) {
  std::map<std::string, Target> targets;
  for (const StoredModel& model : models) {
    for (const Artifact& artifact : model.artifacts) {
      const std::string path =
          artifact.reference ? artifact.reference->path : paths.blob(*artifact.digest);
      Target& target = targets[path];
      target.path = path;
      if (artifact.digest) target.digest = artifact.digest;
      target.reference = artifact.reference;
      target.size = artifact.size;
      target.models.push_back(model.name.str());
    }
  }
  std::vector<Target> list;
  for (auto& [path, target] : targets) list.push_back(std::move(target));
  return list;
}

}  // namespace

GcReport Store::gc(const GcOptions& options) {
  const auto lock = body_->write_lock();
  const Body::Manifests manifests = body_->read_manifests();
  if (!manifests.problems.empty()) {
    throw Error(ErrorCode::kCorrupt,
                "cannot collect: what a damaged manifest needs is not known. " +
                    manifests.problems.front().message + "; remove it with 'omg rm', or mend it");
  }
  Collector collector(body_->files, body_->paths, options, body_->now());
  for (const StoredModel& model : manifests.models) collector.need(model);
  return collector.collect();
}

/// One run of verify(): outside of it nothing has to know these steps.
class StoreVerifier {
 public:
  StoreVerifier(Store::Body& body, const VerifyOptions& options) : body_(body), options_(options) {}

  VerifyReport run() {
    Store::Body::Manifests manifests = body_.read_manifests();
    if (options_.name) {
      std::erase_if(manifests.models,
                    [&](const StoredModel& model) { return model.name != *options_.name; });
      if (manifests.models.empty() && body_.find_built_in(*options_.name) != nullptr) {
        throw Error(ErrorCode::kUnsupported,
                    "'" + options_.name->str() + "' is built in: it has no files to check");
      }
      if (manifests.models.empty()) {
        throw Error(ErrorCode::kNotFound, "model '" + options_.name->str() + "' is not here");
      }
    } else {
      for (const StoreProblem& problem : manifests.problems) {
        report_.bad.push_back({problem.path, problem.message, {}, false, {}, {}});
      }
    }
    std::vector<Target> targets = targets_of(body_.paths, manifests.models);
    if (!options_.name) add_unnamed_blobs(targets);
    for (const Target& target : targets) total_ += target.size;
    for (const Target& target : targets) check(target);
    return std::move(report_);
  }

 private:
  void add_unnamed_blobs(std::vector<Target>& targets) {
    std::set<std::string> known;
    for (const Target& target : targets) known.insert(target.path);
    for (const std::string& name : body_.files.list(body_.paths.blobs())) {
      const auto digest = Digest::parse(name);
      if (!digest || known.contains(body_.paths.blob(*digest))) continue;
      const auto info = body_.files.info(body_.paths.blob(*digest));
      if (info) {
        targets.push_back({body_.paths.blob(*digest), digest, std::nullopt, info->size, {}});
      }
    }
  }

  void check(const Target& target) {
    ++report_.files;
    const auto info = body_.files.info(target.path);
    if (target.reference && !(info && target.reference->matches(*info))) {
      return bad(target, changed_reference_message(*target.reference, info));
    }
    if (!info) return missing(target);
    Lease lease;
    if (target.path.starts_with(body_.paths.root() + "/")) body_.protect(target.path, lease);
    std::optional<Hashed> hashed;
    std::string why;
    for (int attempt = 0; attempt < 2 && !hashed; ++attempt) {
      try {  // a read that fails once alone is no reason to give up good bytes
        hashed = hash(target);
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kCancelled) throw;
        why = error.what();
      }
    }
    if (!hashed) return quarantine_or_tell(target, why, {});
    if (target.digest && hashed->digest != *target.digest) {
      why = "its bytes have the digest " + hashed->digest.str() + " instead of " +
            target.digest->str();
      if (!hashed->damaged.empty()) why += "; " + human_ranges(hashed->damaged) + " are damaged";
      return quarantine_or_tell(target, why, std::move(hashed->damaged));
    }
    if (!target.digest) learn(target, hashed->digest);
  }

  /// An earlier run may have put it aside.
  void missing(const Target& target) {
    const std::string aside = body_.paths.quarantined(*target.digest);
    const bool is_aside = body_.files.info(aside).has_value();
    bad(target, is_aside ? "its bytes are damaged and were put aside" : "its bytes are not here",
        is_aside, is_aside ? damage_of(aside, target) : std::vector<FileRange>());
  }

  /// Empty where no states of pieces are kept.
  std::vector<FileRange> damage_of(const std::string& path, const Target& target) {
    const auto info = body_.files.info(path);
    if (!target.digest || target.reference || !info || info->size != target.size) return {};
    auto pieces = body_.read_pieces(*target.digest, target.size);
    if (!pieces) return {};
    PieceChecker checker(std::move(*pieces), *target.digest);
    const auto file = body_.files.open(path, OpenMode::kRead);
    read_file_in_steps(*file, options_.cancellation,
                       [&](std::span<const std::byte> step) { checker.update(step); });
    return checker.finish();
  }

  struct Hashed {
    Digest digest;
    std::vector<FileRange> damaged;  // empty also where no states of pieces are kept
  };
  Hashed hash(const Target& target) {
    const auto file = body_.files.open(target.path, OpenMode::kRead);
    Sha256 hasher;
    read_file_in_steps(*file, options_.cancellation, [&](std::span<const std::byte> step) {
      hasher.update(step);
      tell(step.size());
    });
    Hashed hashed{hasher.digest(), {}};
    // Damaged files are few, so these are read twice, and not all compared piece by piece.
    if (target.digest && hashed.digest != *target.digest) {
      hashed.damaged = damage_of(target.path, target);
    }
    return hashed;
  }

  void tell(uint64_t bytes) {
    report_.bytes += bytes;
    if (options_.progress) options_.progress(report_.bytes, std::max(total_, report_.bytes));
  }

  void bad(const Target& target, const std::string& why, bool quarantined = false,
           std::vector<FileRange> damaged = {}) {
    const auto digest = target.reference ? std::nullopt : target.digest;
    report_.bad.push_back(
        {target.path, why, target.models, quarantined, digest, std::move(damaged)});
  }

  void quarantine_or_tell(const Target& target, const std::string& why,
                          std::vector<FileRange> damaged) {
    if (target.reference) return bad(target, why);
    const auto lock = body_.write_lock();
    body_.files.rename(target.path, body_.paths.quarantined(*target.digest));
    body_.files.sync_folder(body_.paths.blobs());
    body_.files.sync_folder(body_.paths.quarantine());
    bad(target, why, true, std::move(damaged));
  }

  /// Writes a reference's digest, now that it is known, into the manifests that have it.
  void learn(const Target& target, const Digest& digest) {
    const auto info = body_.files.info(target.path);
    if (!info || !target.reference->matches(*info)) {
      return bad(target, changed_reference_message(*target.reference, info));
    }
    ++report_.learned;
    const auto lock = body_.write_lock();
    for (const std::string& name : target.models) {
      auto model = body_.read_manifest(StoreName(name));
      if (!model) continue;
      for (Artifact& artifact : model->artifacts) {
        if (artifact.reference && artifact.reference->path == target.path &&
            artifact.reference->matches(*info)) {
          artifact.digest = digest;
        }
      }
      body_.write_manifest(*model);
    }
  }

  Store::Body& body_;
  const VerifyOptions& options_;
  VerifyReport report_;
  uint64_t total_ = 0;
};

VerifyReport Store::verify(const VerifyOptions& options) {
  return StoreVerifier(*body_, options).run();
}

std::optional<Partial> Store::take_from_quarantine(const Digest& digest) {
  auto partial = try_lock_partial(PartialKey(digest));
  if (!partial || body_->files.info(partial->path())) return std::nullopt;
  const auto lock = body_->write_lock();
  const std::string path = body_->paths.quarantined(digest);
  if (!body_->files.info(path)) return std::nullopt;
  body_->files.rename(path, partial->path());
  body_->files.sync_folder(body_->paths.partials());
  body_->files.sync_folder(body_->paths.quarantine());
  return partial;
}

}  // namespace omg
