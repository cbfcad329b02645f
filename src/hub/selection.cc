// SPDX-License-Identifier: Apache-2.0
//
// Roles of files by their names, and the choice among them.
#include "hub/selection.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "base/checked.h"
#include "base/error.h"
#include "base/model_file_name.h"

namespace omg {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// What a folder of safetensors needs beside its weights, with what sentence-transformers add.
constexpr std::array<std::string_view, 20> kConfigs = {"config.json",
                                                       "generation_config.json",
                                                       "tokenizer.json",
                                                       "tokenizer_config.json",
                                                       "tokenizer.model",
                                                       "spiece.model",
                                                       "vocab.json",
                                                       "vocab.txt",
                                                       "merges.txt",
                                                       "special_tokens_map.json",
                                                       "added_tokens.json",
                                                       "chat_template.jinja",
                                                       "chat_template.json",
                                                       "preprocessor_config.json",
                                                       "processor_config.json",
                                                       "model.safetensors.index.json",
                                                       "modules.json",
                                                       "sentence_bert_config.json",
                                                       "config_sentence_transformers.json",
                                                       "adapter_config.json"};

std::string human(uint64_t bytes) {
  const double gib = static_cast<double>(bytes) / (1 << 30);
  char text[32];
  std::snprintf(text, sizeof text, gib >= 1 ? "%.1f GiB" : "%.0f MiB", gib >= 1 ? gib : gib * 1024);
  return text;
}

std::string names_of(const std::vector<QuantizationChoice>& choices) {
  std::string text;
  for (const QuantizationChoice& choice : choices) {
    text += (text.empty() ? "" : ", ") + choice.name + " (" + human(choice.bytes) + ")";
  }
  return text;
}

/// Every "-0000i-of-N" is there once; in order of parts. One file alone is its own whole.
void check_parts(const std::vector<RemoteFile>& files, std::vector<size_t>& chosen,
                 const std::string& model) {
  std::map<std::string, std::map<size_t, size_t>> parts;  // stem and count -> part -> file
  for (const size_t index : chosen) {
    const auto split = parse_split_name(files[index].path);
    if (split) parts[split->stem + "-of-" + std::to_string(split->parts)][split->part] = index;
  }
  for (const auto& [stem, found] : parts) {
    const auto split = parse_split_name(files[found.begin()->second].path);
    if (found.size() == split->parts) continue;
    size_t missing = 1;
    while (found.contains(missing)) ++missing;
    throw Error(ErrorCode::kCorrupt, model + " is not complete: part " + std::to_string(missing) +
                                         " of " + std::to_string(split->parts) + " of " +
                                         split->stem + " is missing; tell whoever published it");
  }
}

/// One quantisation may be there of several models: then no name of a quantisation tells which.
void check_one_model(const std::vector<RemoteFile>& files, const QuantizationChoice& choice,
                     const std::string& model) {
  std::set<std::string> stems;
  for (const size_t index : choice.files) {
    const auto split = parse_split_name(files[index].path);
    stems.insert(split ? split->stem + "-of-" + std::to_string(split->parts) : files[index].path);
  }
  if (stems.size() <= 1) return;
  std::string shown;
  for (const size_t index : choice.files) {
    if (shown.size() < 300) shown += (shown.empty() ? "" : ", ") + files[index].path;
  }
  throw Error(ErrorCode::kInvalidArgument, model + " has several models in " + choice.name + ": " +
                                               shown + "; choose one with --include FILE");
}

bool matches_any(const std::vector<std::string>& globs, const std::string& path) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return glob_matches(glob, path); });
}

const QuantizationChoice& choose_named(const std::vector<QuantizationChoice>& choices,
                                       const std::string& wanted, const std::string& model) {
  for (const bool with_prefix : {false, true}) {  // Q4_K_XL means UD-Q4_K_XL where that is all
    for (const QuantizationChoice& choice : choices) {
      if (lower(choice.name) == (with_prefix ? "ud-" : "") + lower(wanted)) return choice;
    }
  }
  throw Error(ErrorCode::kNotFound, model + " has no quantisation '" + wanted + "': there are " +
                                        (choices.empty() ? "none" : names_of(choices)) +
                                        "; choose one of them");
}

const QuantizationChoice& choose_best(const std::vector<QuantizationChoice>& choices,
                                      const SelectionOptions& options, const std::string& model) {
  const QuantizationChoice* smallest = nullptr;
  for (const QuantizationChoice& choice : choices) {
    if (choice.is_low_quality && !options.allow_low_quality) continue;
    if (!options.memory_bytes || choice.bytes <= *options.memory_bytes) return choice;
    if (smallest == nullptr || choice.bytes < smallest->bytes) smallest = &choice;
  }
  if (smallest == nullptr) {
    throw Error(ErrorCode::kNotFound,
                model + " has only quantisations of low quality: " + names_of(choices) +
                    "; name one, or allow them with --allow-low-quality");
  }
  throw Error(ErrorCode::kOutOfMemory,
              "no quantisation of " + model + " fits this machine: the smallest, " +
                  smallest->name + ", takes " + human(smallest->bytes) + " and " +
                  human(*options.memory_bytes) + " may be used; name one to have it all the same" +
                  (options.allow_low_quality ? "" : ", or try --allow-low-quality"));
}

Selection select_gguf(const std::vector<RemoteFile>& files, const std::vector<size_t>& gguf,
                      const SelectionOptions& options, const std::string& model) {
  std::vector<RemoteFile> candidates;
  for (const size_t index : gguf) candidates.push_back(files[index]);
  const auto choices = list_quantizations(candidates);
  Selection selection;
  std::vector<size_t> chosen;
  if (choices.empty() && options.quantization.empty()) {
    // Names that tell nothing: fine if there is one model.
    QuantizationChoice all{"a format that their names do not tell", 0, {}, false};
    for (size_t i = 0; i < candidates.size(); ++i) all.files.push_back(i);
    check_one_model(candidates, all, model);
    chosen = all.files;
  } else {
    const QuantizationChoice& choice = options.quantization.empty()
                                           ? choose_best(choices, options, model)
                                           : choose_named(choices, options.quantization, model);
    check_one_model(candidates, choice, model);
    selection.quantization = choice.name;
    chosen = choice.files;
  }
  check_parts(candidates, chosen, model);
  for (const size_t index : chosen) selection.files.push_back(gguf[index]);
  return selection;
}

/// Weights in the root: "model.safetensors" or its parts before other names (Mistral's repositories
/// hold the same weights again as "consolidated").
Selection select_safetensors(const std::vector<RemoteFile>& files,
                             const std::vector<size_t>& allowed, const std::string& model) {
  Selection selection;
  for (const bool only_model : {true, false}) {
    for (const size_t index : allowed) {
      const std::string& path = files[index].path;
      if (!is_safetensors(path) || path.find('/') != std::string::npos) continue;
      const auto split = parse_split_name(path);
      const bool is_model = path == "model.safetensors" || (split && split->stem == "model");
      if (only_model ? is_model : true) selection.files.push_back(index);
    }
    if (!selection.files.empty()) break;
  }
  if (selection.files.empty()) return selection;
  const bool has_parts = std::any_of(selection.files.begin(), selection.files.end(), [&](size_t i) {
    return parse_split_name(files[i].path).has_value();
  });
  const bool has_whole = std::any_of(selection.files.begin(), selection.files.end(), [&](size_t i) {
    return files[i].path == "model.safetensors";
  });
  if (has_parts && has_whole) {  // the same again in one file
    std::erase_if(selection.files, [&](size_t i) { return parse_split_name(files[i].path); });
  }
  check_parts(files, selection.files, model);
  for (const size_t index : allowed) {
    const RemoteFileRole role = files[index].role;
    const bool is_near = files[index].path.find('/') == std::string::npos ||
                         files[index].path == "1_Pooling/config.json";
    if (is_near && (role == RemoteFileRole::kConfig || role == RemoteFileRole::kLicense)) {
      selection.files.push_back(index);
    }
  }
  return selection;
}

[[noreturn]] void refuse_without_weights(const std::vector<RemoteFile>& files,
                                         const std::string& model) {
  std::string others;
  for (const RemoteFile& file : files) {
    const std::string name = lower(base_name(file.path));
    for (const char* ending : {".bin", ".pth", ".pt", ".onnx", ".h5", ".msgpack", ".ckpt"}) {
      if (name.ends_with(ending) && others.empty()) others = file.path;
    }
  }
  throw Error(ErrorCode::kUnsupported,
              model + " cannot be used: it holds neither GGUF nor safetensors" +
                  (others.empty() ? "" : " but files like " + others) +
                  "; look for a repository that does with `omg search`");
}

}  // namespace

RemoteFileRole role_of_path(std::string_view path) {
  const std::string name = lower(base_name(path));
  if (is_gguf(path)) {
    if (name.starts_with("mmproj")) return RemoteFileRole::kProjector;
    const bool is_no_model = name.find("imatrix") != std::string::npos ||
                             name.starts_with("ggml-vocab") || name.starts_with("mtp-");
    return is_no_model ? RemoteFileRole::kOther : RemoteFileRole::kWeights;
  }
  if (is_safetensors(path)) {
    return name.starts_with("adapter") ? RemoteFileRole::kAdapter : RemoteFileRole::kWeights;
  }
  if (std::find(kConfigs.begin(), kConfigs.end(), name) != kConfigs.end()) {
    return RemoteFileRole::kConfig;
  }
  if (name.starts_with("license") || name.starts_with("licence")) return RemoteFileRole::kLicense;
  return RemoteFileRole::kOther;
}

Selection select_files(const std::vector<RemoteFile>& files, const SelectionOptions& options,
                       const std::string& model) {
  std::vector<size_t> allowed;
  for (size_t i = 0; i < files.size(); ++i) {
    const bool is_in = options.include.empty() || matches_any(options.include, files[i].path);
    if (is_in && !matches_any(options.exclude, files[i].path)) allowed.push_back(i);
  }
  if (allowed.empty() && !files.empty()) {
    throw Error(ErrorCode::kNotFound, "no file of " + model +
                                          " is left: --include and --exclude leave none; see the "
                                          "files with `omg search`");
  }
  std::vector<size_t> gguf;
  for (const size_t index : allowed) {
    const bool is_model = files[index].role == RemoteFileRole::kWeights;
    if (is_model && is_gguf(files[index].path)) gguf.push_back(index);
  }
  if (!options.include.empty() && options.quantization.empty()) {
    Selection selection;
    selection.files = allowed;
    std::sort(selection.files.begin(), selection.files.end(), [&](size_t a, size_t b) {
      return std::pair(files[a].role != RemoteFileRole::kWeights, a) <
             std::pair(files[b].role != RemoteFileRole::kWeights, b);
    });
    std::set<std::string> kinds;
    for (const size_t index : gguf) kinds.insert(quantization_in_name(files[index].path));
    if (kinds.size() == 1) selection.quantization = *kinds.begin();
    check_parts(files, selection.files, model);
    return selection;
  }
  if (!gguf.empty()) return select_gguf(files, gguf, options, model);
  if (!options.quantization.empty()) {
    throw Error(ErrorCode::kNotFound, model + " has no quantisation '" + options.quantization +
                                          "': it holds no GGUF files; leave the quantisation out, "
                                          "or look for a GGUF repository with `omg search`");
  }
  Selection selection = select_safetensors(files, allowed, model);
  if (selection.files.empty()) refuse_without_weights(files, model);
  return selection;
}

}  // namespace omg
