// SPDX-License-Identifier: Apache-2.0
//
// What the readers of foreign layouts share: bounded walks, references, and making models out of
// the files of one folder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/adopt.h"

namespace omg {

/// Entries of one folder, files of one repository and depth of one tree beyond these are hostile.
inline constexpr size_t kMaxForeignFiles = 16384;
inline constexpr int kMaxForeignDepth = 8;

/// One scan: the disk, and what came of it.
struct ForeignScan {
  FileSystem& files;
  FoundModels found;

  void problem(const std::string& path, const std::string& why) {
    found.problems.push_back({path, why});
  }
  /// Names in a folder; nothing, and a problem, where it cannot be read or is too large. Hidden
  /// names are left out.
  std::vector<std::string> list(const std::string& folder);
  /// Runs `step`, and makes an Error of it a problem of `path`.
  void guarded(const std::string& path, const std::function<void()>& step);
};

/// A reference to a regular file as it is. Throws Error for anything else, links too.
Artifact reference_to(FileSystem& files, const std::string& path, const std::string& filename,
                      FileOwner owner);

/// What is the same for all models of a repository's folder.
struct FolderOfModels {
  std::string name;      // of a model without quantisation: "org/repo"
  std::string revision;  // put to the names after '@'; "" for none
  ModelOrigin origin;
};
/// Makes models of a folder's files: one for each quantisation of GGUF weights (with all parts of a
/// split one, and projectors), one for safetensors with what belongs to them. Incomplete ones
/// become problems of `path`.
void add_models_of_folder(ForeignScan& scan, const std::string& path,
                          const FolderOfModels& repository, std::vector<Artifact> artifacts);

void scan_huggingface_cache(ForeignScan& scan, const std::string& hub);
void scan_huggingface_repository(ForeignScan& scan, const std::string& folder);
void scan_ollama(ForeignScan& scan, const std::string& models);
void scan_lm_studio(ForeignScan& scan, const std::string& models);
void scan_model_folder(ForeignScan& scan, const std::string& folder);
void scan_file(ForeignScan& scan, const std::string& path);

/// Last part of a path.
std::string base_name(std::string_view path);
/// Whether a part of a name is letters, digits, '.', '_' and '-', and neither "." nor "..".
bool is_plain_name(std::string_view name);

}  // namespace omg
