// SPDX-License-Identifier: Apache-2.0
//
// Where the chat templates of a folder stand.
// Source: https://huggingface.co/docs/transformers/chat_templating_writing
#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer/huggingface/folder.h"
#include "text/tokenizer/huggingface/huggingface.h"

namespace omg {
namespace {

using huggingface::JsonNode;

constexpr size_t kMaxTemplateFile = 4u << 20;  // the longest published one has 20 KiB
constexpr size_t kMaxTemplates = 64;

std::string folder_of(const std::string& path) {
  std::error_code status;
  if (std::filesystem::is_directory(path, status)) return path;
  return std::filesystem::path(path).parent_path().string();
}

std::string read_source(const std::string& path) {
  const auto file = huggingface::open_file(path, kMaxTemplateFile);
  const std::string_view text = huggingface::text_of(*file);
  if (is_valid_utf8(text)) return std::string(text);
  throw Error(ErrorCode::kCorrupt, "cannot read the chat template " + path + ": it is not UTF-8");
}

/// additional_chat_templates/NAME.jinja
void read_more(const std::string& folder, std::vector<NamedTemplate>& templates) {
  std::error_code status;
  std::vector<std::filesystem::path> paths;
  const std::filesystem::path where = std::filesystem::path(folder) / "additional_chat_templates";
  for (std::filesystem::directory_iterator entry(where, status), end; !status && entry != end;
       entry.increment(status)) {
    const bool counts = entry->is_regular_file() && entry->path().extension() == ".jinja";
    if (counts && paths.size() < kMaxTemplates) paths.push_back(entry->path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths)
    templates.push_back({path.stem().string(), read_source(path.string())});
}

void read_member(const JsonNode& node, std::vector<NamedTemplate>& templates) {
  const auto member = node.find("chat_template");
  if (!member) return;
  if (member->value().is_string()) {
    templates.push_back({"default", std::string(member->as_string())});
  } else if (member->value().is_object()) {
    for (const auto& entry : member->as_object())
      templates.push_back({entry.key(), std::string(member->get(entry.key()).as_string())});
  } else {
    for (const JsonNode& entry : member->elements(kMaxTemplates)) {
      templates.push_back({std::string(entry.get("name").as_string()),
                           std::string(entry.get("template").as_string())});
    }
  }
}

}  // namespace

std::vector<NamedTemplate> read_huggingface_templates(const std::string& path) {
  const std::string folder = folder_of(path);
  std::vector<NamedTemplate> templates;
  const std::string jinja = huggingface::path_in(folder, "chat_template.jinja");
  if (std::filesystem::is_regular_file(jinja)) templates.push_back({"default", read_source(jinja)});
  read_more(folder, templates);
  for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
    if (!templates.empty()) break;
    const auto file = huggingface::read_json(huggingface::path_in(folder, name));
    if (file) read_member(file->root(), templates);
  }
  return templates;
}

const NamedTemplate* default_template(const std::vector<NamedTemplate>& templates) {
  for (const NamedTemplate& candidate : templates) {
    if (candidate.name == "default") return &candidate;
  }
  return templates.size() == 1 ? &templates.front() : nullptr;
}

}  // namespace omg
