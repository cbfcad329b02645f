// SPDX-License-Identifier: Apache-2.0
//
// Telling the layouts apart, and making models of the files of one folder.
#include "store/adopt.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "base/error.h"
#include "base/model_file_name.h"
#include "store/adopt_scan.h"
#include "store/manifest.h"

namespace omg {
namespace {

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string extension_of(const std::string& filename) {
  const size_t dot = filename.find_last_of('.');
  return dot == std::string::npos ? "" : lower(filename.substr(dot + 1));
}

/// The name that all parts of a whole share; a file's own if it stands alone.
std::string whole_of(const std::string& filename) {
  const auto split = parse_split_name(filename);
  return split ? split->stem + "." + extension_of(filename) : filename;
}

bool is_projector(const std::string& filename) {
  return lower(base_name(filename)).find("mmproj") != std::string::npos;
}

/// Files that make a folder of safetensors usable: configurations, tokenizers, templates, licences.
bool belongs_to_safetensors(const std::string& filename) {
  constexpr std::array<std::string_view, 6> kExtensions = {"safetensors", "json",  "model",
                                                           "txt",         "jinja", "tiktoken"};
  const std::string extension = extension_of(filename);
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end() ||
         upper(base_name(filename)).starts_with("LICENSE");
}

void set_kind(Artifact& artifact) {
  const std::string extension = extension_of(artifact.filename);
  artifact.format = extension;
  if (extension == "gguf" || extension == "safetensors") {
    artifact.role = is_projector(artifact.filename) ? "projector" : "weights";
  } else if (upper(base_name(artifact.filename)).starts_with("LICENSE")) {
    artifact.role = "license";
  } else {
    artifact.role = extension == "jinja" ? "template" : "config";
  }
}

/// The number of a part that is not there; 0 if all are.
uint32_t missing_part(const std::vector<Artifact>& artifacts) {
  std::map<std::string, std::vector<bool>> parts;
  for (const Artifact& artifact : artifacts) {
    const auto split = parse_split_name(artifact.filename);
    if (!split) continue;
    std::vector<bool>& seen = parts[split->stem];
    seen.resize(std::max(seen.size(), split->parts));
    seen[split->part - 1] = true;
  }
  for (const auto& [whole, seen] : parts) {
    const auto hole = std::find(seen.begin(), seen.end(), false);
    if (hole != seen.end()) return static_cast<uint32_t>(hole - seen.begin()) + 1;
  }
  return 0;
}

void add_model(ForeignScan& scan, const std::string& path, const FolderOfModels& repository,
               const std::string& quantization, std::vector<Artifact> artifacts) {
  std::string name = repository.name;
  if (!quantization.empty()) name += ":" + quantization;
  if (const uint32_t part = missing_part(artifacts)) {
    scan.problem(path, "'" + name + "' is not whole: part " + std::to_string(part) +
                           " is missing; let its owner finish the download");
    return;
  }
  if (!repository.revision.empty()) name += "@" + repository.revision;
  StoredModel model{StoreName(name)};
  model.origin = repository.origin;
  model.quantization = quantization;
  model.artifacts = std::move(artifacts);
  for (Artifact& artifact : model.artifacts) set_kind(artifact);
  scan.found.models.push_back(std::move(model));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_folder(FileSystem& files, const std::string& path) {
  const auto info = files.info(path);
  return info && info->is_folder();
}

bool has_file_with(FileSystem& files, const std::string& folder, std::string_view extension) {
  const std::vector<std::string> names = files.list(folder);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return extension_of(name) == extension; });
}

/// publisher/repo/ with weights inside.
bool looks_like_lm_studio(FileSystem& files, const std::string& path) {
  for (const std::string& publisher : files.list(path)) {
    if (publisher.starts_with('.') || !is_folder(files, path + "/" + publisher)) continue;
    for (const std::string& repository : files.list(path + "/" + publisher)) {
      const std::string folder = path + "/" + publisher + "/" + repository;
      if (!is_folder(files, folder)) continue;
      if (has_file_with(files, folder, "gguf") || has_file_with(files, folder, "safetensors")) {
        return true;
      }
    }
  }
  return false;
}

/// The repository of a Hugging Face cache that a path into one of its snapshots belongs to.
std::optional<std::string> repository_of_snapshot(const std::string& path) {
  const std::string snapshots = folder_of(path);
  const std::string repository = folder_of(snapshots);
  if (base_name(snapshots) == "snapshots" && base_name(repository).starts_with("models--")) {
    return repository;
  }
  return std::nullopt;
}

}  // namespace

std::string base_name(std::string_view path) {
  return std::string(path.substr(path.find_last_of('/') + 1));
}

bool is_plain_name(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.size() > 255) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

std::vector<std::string> ForeignScan::list(const std::string& folder) {
  std::vector<std::string> names;
  guarded(folder, [&] {
    names = files.list(folder);
    std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
    if (names.size() > kMaxForeignFiles) {
      names.clear();
      throw Error(ErrorCode::kLimitExceeded,
                  "it has more than " + std::to_string(kMaxForeignFiles) + " entries");
    }
  });
  return names;
}

void ForeignScan::guarded(const std::string& path, const std::function<void()>& step) {
  try {
    step();
  } catch (const Error& error) {
    problem(path, error.what());
  }
}

Artifact reference_to(FileSystem& files, const std::string& path, const std::string& filename,
                      FileOwner owner) {
  const auto info = files.info(path);
  if (!info) throw Error(ErrorCode::kNotFound, "it is not there");
  if (info->kind == FileInfo::Kind::kLink) {
    throw Error(ErrorCode::kInvalidArgument, "it is a symbolic link; import what it points to");
  }
  if (!info->is_file()) throw Error(ErrorCode::kInvalidArgument, "it is no regular file");
  check_artifact_filename(filename);
  Artifact artifact;
  artifact.filename = filename;
  artifact.size = info->size;
  artifact.reference = FileReference{path, owner, info->size, info->modified_ns, info->inode};
  return artifact;
}

void add_models_of_folder(ForeignScan& scan, const std::string& path,
                          const FolderOfModels& repository, std::vector<Artifact> artifacts) {
  std::vector<Artifact> projectors, safetensors;
  std::map<std::string, std::vector<Artifact>> gguf;  // by the name of the whole
  bool has_tensors = false;
  for (Artifact& artifact : artifacts) {
    const std::string extension = extension_of(artifact.filename);
    if (extension == "gguf") {
      if (is_projector(artifact.filename)) {
        projectors.push_back(std::move(artifact));
      } else {
        gguf[whole_of(artifact.filename)].push_back(std::move(artifact));
      }
    } else if (belongs_to_safetensors(artifact.filename)) {
      has_tensors = has_tensors || extension == "safetensors";
      safetensors.push_back(std::move(artifact));
    }
  }
  std::map<std::string, int> models_of_quantization;
  for (const auto& [whole, parts] : gguf) ++models_of_quantization[quantization_in_name(whole)];
  for (auto& [whole, parts] : gguf) {
    std::string quantization = quantization_in_name(whole);
    FolderOfModels named = repository;
    // Several models in one folder: the file's own name tells them apart.
    if (models_of_quantization[quantization] > 1 || (quantization.empty() && gguf.size() > 1)) {
      named.name += "/" + whole.substr(0, whole.find_last_of('.'));
      quantization.clear();
    }
    parts.insert(parts.end(), projectors.begin(), projectors.end());
    const std::string told = quantization_in_name(whole);
    const size_t before = scan.found.models.size();
    scan.guarded(path, [&] { add_model(scan, path, named, quantization, std::move(parts)); });
    if (scan.found.models.size() > before) scan.found.models.back().quantization = told;
  }
  if (has_tensors) {
    scan.guarded(path, [&] { add_model(scan, path, repository, "", std::move(safetensors)); });
  }
  if (gguf.empty() && !has_tensors) scan.problem(path, "it has no weights (.gguf, .safetensors)");
}

ForeignLayout detect_layout(FileSystem& files, const std::string& path) {
  const std::string real = files.real_path(path);
  const auto info = files.info(real);
  if (info && info->is_file()) return ForeignLayout::kFile;
  if (!info || !info->is_folder()) {
    throw Error(ErrorCode::kInvalidArgument,
                "cannot import " + path + ": it is neither a file nor a folder");
  }
  if (base_name(real).starts_with("models--") || repository_of_snapshot(real)) {
    return ForeignLayout::kHuggingFaceCache;
  }
  if (is_folder(files, real + "/manifests") && is_folder(files, real + "/blobs")) {
    return ForeignLayout::kOllama;
  }
  const std::vector<std::string> names = files.list(real);
  if (std::any_of(names.begin(), names.end(),
                  [](const std::string& name) { return name.starts_with("models--"); })) {
    return ForeignLayout::kHuggingFaceCache;
  }
  if (has_file_with(files, real, "gguf") || has_file_with(files, real, "safetensors")) {
    return ForeignLayout::kModelFolder;
  }
  if (looks_like_lm_studio(files, real)) return ForeignLayout::kLmStudio;
  throw Error(ErrorCode::kInvalidArgument,
              "cannot import " + path +
                  ": it is no model file, no folder with .gguf or .safetensors files, and no "
                  "models folder of Hugging Face, Ollama or LM Studio");
}

FoundModels scan_models(FileSystem& files, const std::string& path) {
  ForeignScan scan{files, {}};
  scan.found.layout = detect_layout(files, path);
  const std::string real = files.real_path(path);
  switch (scan.found.layout) {
    case ForeignLayout::kHuggingFaceCache:
      if (const auto repository = repository_of_snapshot(real)) {
        scan_huggingface_repository(scan, *repository);
      } else if (base_name(real).starts_with("models--")) {
        scan_huggingface_repository(scan, real);
      } else {
        scan_huggingface_cache(scan, real);
      }
      break;
    case ForeignLayout::kOllama:
      scan_ollama(scan, real);
      break;
    case ForeignLayout::kLmStudio:
      scan_lm_studio(scan, real);
      break;
    case ForeignLayout::kModelFolder:
      scan_model_folder(scan, real);
      break;
    case ForeignLayout::kFile:
      scan_file(scan, real);
      break;
  }
  return std::move(scan.found);
}

void scan_file(ForeignScan& scan, const std::string& path) {
  const std::string folder = folder_of(path);
  const std::string whole = whole_of(base_name(path));
  FolderOfModels alone;
  alone.name = whole.substr(0, whole.find_last_of('.'));
  alone.origin = {ModelProvider::kFile, "", path, "", ""};
  std::vector<Artifact> artifacts;
  if (!parse_split_name(path)) {
    artifacts.push_back(reference_to(scan.files, path, base_name(path), FileOwner::kUser));
  } else {
    for (const std::string& name : scan.list(folder)) {
      if (!parse_split_name(name) || whole_of(name) != whole) continue;
      artifacts.push_back(reference_to(scan.files, folder + "/" + name, name, FileOwner::kUser));
    }
  }
  const std::string extension = extension_of(path);
  if (extension != "gguf" && extension != "safetensors") {
    throw Error(ErrorCode::kUnsupported,
                "cannot import " + path + ": it is neither .gguf nor .safetensors");
  }
  const std::string quantization = quantization_in_name(whole);
  add_model(scan, path, alone, "", std::move(artifacts));
  if (!scan.found.models.empty()) scan.found.models.back().quantization = quantization;
}

void scan_model_folder(ForeignScan& scan, const std::string& folder) {
  std::vector<Artifact> artifacts;
  for (const std::string& name : scan.list(folder)) {
    const std::string path = folder + "/" + name;
    if (is_folder(scan.files, path)) continue;
    scan.guarded(
        path, [&] { artifacts.push_back(reference_to(scan.files, path, name, FileOwner::kUser)); });
  }
  const ModelOrigin origin = {ModelProvider::kFile, "", folder, "", ""};
  add_models_of_folder(scan, folder, {base_name(folder), "", origin}, std::move(artifacts));
}

void scan_lm_studio(ForeignScan& scan, const std::string& models) {
  for (const std::string& publisher : scan.list(models)) {
    if (!is_folder(scan.files, models + "/" + publisher)) continue;
    for (const std::string& repository : scan.list(models + "/" + publisher)) {
      const std::string folder = models + "/" + publisher + "/" + repository;
      if (!is_folder(scan.files, folder)) continue;
      if (!is_plain_name(publisher) || !is_plain_name(repository)) {
        scan.problem(folder, "its name is no repository's name");
        continue;
      }
      std::vector<Artifact> artifacts;
      for (const std::string& name : scan.list(folder)) {
        const std::string path = folder + "/" + name;
        if (is_folder(scan.files, path)) continue;
        scan.guarded(path, [&] {
          artifacts.push_back(reference_to(scan.files, path, name, FileOwner::kLmStudio));
        });
      }
      const std::string name = publisher + "/" + repository;
      const ModelOrigin origin = {ModelProvider::kHuggingFace, "", name, "", ""};
      add_models_of_folder(scan, folder, {name, "", origin}, std::move(artifacts));
    }
  }
}

std::vector<std::string> foreign_model_folders(FileSystem& files) {
  const std::string home = environment("HOME");
  const auto first = [](std::initializer_list<std::string> candidates) {
    for (const std::string& candidate : candidates) {
      if (candidate.starts_with('/')) return candidate;
    }
    return std::string();
  };
  const auto below = [](const std::string& folder, const std::string& name) {
    return folder.empty() ? "" : folder + name;
  };
  const std::string cache = first({environment("XDG_CACHE_HOME"), below(home, "/.cache")});
  const std::string hf_home = first({environment("HF_HOME"), below(cache, "/huggingface")});
  const std::vector<std::string> candidates = {
      first({environment("HF_HUB_CACHE"), environment("HUGGINGFACE_HUB_CACHE"),
             below(hf_home, "/hub")}),
      first({environment("OLLAMA_MODELS"), below(home, "/.ollama/models")}),
      "/usr/share/ollama/.ollama/models",  // where its Linux service keeps them
      below(home, "/.lmstudio/models"),
      below(home, "/.cache/lm-studio/models"),
  };
  std::vector<std::string> found;
  for (const std::string& folder : candidates) {
    try {
      if (folder.empty()) continue;
      const std::string real = files.real_path(folder);
      if (is_folder(files, real) && std::find(found.begin(), found.end(), real) == found.end()) {
        found.push_back(real);
      }
    } catch (const Error&) {  // not there, or not for us
    }
  }
  return found;
}

}  // namespace omg
