// SPDX-License-Identifier: Apache-2.0
//
// The cache of huggingface_hub: models--org--repo/{refs,snapshots,blobs}. A ref is a file with a
// commit; a snapshot holds links to ../../blobs/<etag>, and the etag of a large file is its
// SHA-256. Nothing but such links is followed.
#include <filesystem>
#include <map>

#include "base/error.h"
#include "store/adopt_scan.h"

namespace omg {
namespace {

bool is_hex(std::string_view text, size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// "org/repo" of "models--org--repo"; "" if it is none.
std::string repository_name(const std::string& folder_name) {
  constexpr std::string_view kPrefix = "models--";
  if (!folder_name.starts_with(kPrefix)) return "";
  const std::string rest = folder_name.substr(kPrefix.size());
  const size_t separator = rest.find("--");
  if (separator == std::string::npos) return is_plain_name(rest) ? rest : "";
  const std::string owner = rest.substr(0, separator);
  const std::string name = rest.substr(separator + 2);
  return is_plain_name(owner) && is_plain_name(name) ? owner + "/" + name : "";
}

/// One repository of the cache.
class Repository {
 public:
  Repository(ForeignScan& scan, std::string folder, std::string name)
      : scan_(scan), folder_(std::move(folder)), name_(std::move(name)) {}

  void read() {
    std::map<std::string, std::string> refs;  // name -> commit
    const auto refs_folder = scan_.files.info(folder_ + "/refs");
    if (refs_folder && refs_folder->is_folder()) read_refs(folder_ + "/refs", "", 0, refs);
    std::vector<std::string> snapshots;
    for (const std::string& commit : scan_.list(folder_ + "/snapshots")) {
      const auto info = scan_.files.info(folder_ + "/snapshots/" + commit);
      if (is_hex(commit, 40) && info && info->is_folder()) {
        snapshots.push_back(commit);
      } else {
        scan_.problem(folder_ + "/snapshots/" + commit, "it is no folder named by a commit");
      }
    }
    const auto main = refs.find("main");
    for (const std::string& commit : snapshots) {
      std::string revision = commit;
      for (const auto& [ref, target] : refs) {
        if (target == commit) revision = ref;
      }
      const bool is_main = main != refs.end() && main->second == commit;
      if (is_main) revision = "main";
      // The one that a user means without naming a revision.
      const bool is_default = is_main || (main == refs.end() && snapshots.size() == 1);
      read_snapshot(commit, revision, is_default ? "" : revision);
    }
  }

 private:
  void read_refs(const std::string& folder, const std::string& prefix, int depth,
                 std::map<std::string, std::string>& refs) {
    if (depth > kMaxForeignDepth || refs.size() > kMaxForeignFiles) return;
    for (const std::string& name : scan_.list(folder)) {
      const std::string path = folder + "/" + name;
      scan_.guarded(path, [&] {
        const auto info = scan_.files.info(path);
        if (info && info->is_folder()) return read_refs(path, prefix + name + "/", depth + 1, refs);
        std::string commit = read_file(scan_.files, path, 256);
        while (!commit.empty() && (commit.back() == '\n' || commit.back() == '\r')) {
          commit.pop_back();
        }
        if (!is_hex(commit, 40)) throw Error(ErrorCode::kCorrupt, "it does not hold a commit");
        refs[prefix + name] = commit;
      });
    }
  }

  void read_snapshot(const std::string& commit, const std::string& revision,
                     const std::string& suffix) {
    std::vector<Artifact> artifacts;
    read_files(folder_ + "/snapshots/" + commit, "", 0, artifacts);
    const ModelOrigin origin = {ModelProvider::kHuggingFace, "https://huggingface.co", name_,
                                revision, commit};
    add_models_of_folder(scan_, folder_ + "/snapshots/" + commit, {name_, suffix, origin},
                         std::move(artifacts));
  }

  void read_files(const std::string& folder, const std::string& prefix, int depth,
                  std::vector<Artifact>& artifacts) {
    if (depth > kMaxForeignDepth) return scan_.problem(folder, "it is too deep");
    for (const std::string& name : scan_.list(folder)) {
      const std::string path = folder + "/" + name;
      scan_.guarded(path, [&] {
        const auto info = scan_.files.info(path);
        if (!info) return;
        if (info->is_folder()) return read_files(path, prefix + name + "/", depth + 1, artifacts);
        if (artifacts.size() >= kMaxForeignFiles) {
          throw Error(ErrorCode::kLimitExceeded, "the snapshot has too many files");
        }
        artifacts.push_back(
            info->kind == FileInfo::Kind::kLink
                ? linked_file(path, prefix + name)
                : reference_to(scan_.files, path, prefix + name, FileOwner::kHuggingFaceCache));
      });
    }
  }

  /// The blob that a snapshot's link points to. A link to anywhere else is refused.
  Artifact linked_file(const std::string& path, const std::string& filename) {
    const std::string target = scan_.files.read_link(path);
    const auto lexical =
        (std::filesystem::path(folder_of(path)) / target).lexically_normal().string();
    const std::string blob = base_name(lexical);
    if (target.starts_with('/') || !is_plain_name(blob) || lexical != folder_ + "/blobs/" + blob) {
      throw Error(ErrorCode::kInvalidArgument,
                  "its link leaves the repository's blobs; it is not followed");
    }
    Artifact artifact = reference_to(scan_.files, lexical, filename, FileOwner::kHuggingFaceCache);
    artifact.etag = blob;
    if (is_hex(blob, 64)) artifact.digest = Digest::parse(blob);
    return artifact;
  }

  ForeignScan& scan_;
  std::string folder_;
  std::string name_;
};

}  // namespace

void scan_huggingface_repository(ForeignScan& scan, const std::string& folder) {
  const std::string name = repository_name(base_name(folder));
  if (name.empty()) return scan.problem(folder, "its name is no repository's name");
  for (const char* part : {"", "/snapshots", "/blobs"}) {
    const auto info = scan.files.info(folder + part);
    if (!info || !info->is_folder()) {
      return scan.problem(folder + part, "it is no folder; the repository is passed over");
    }
  }
  Repository(scan, folder, name).read();
}

void scan_huggingface_cache(ForeignScan& scan, const std::string& hub) {
  for (const std::string& name : scan.list(hub)) {
    if (name.starts_with("models--")) {
      scan.guarded(hub + "/" + name, [&] { scan_huggingface_repository(scan, hub + "/" + name); });
    }
  }
}

}  // namespace omg
