// SPDX-License-Identifier: Apache-2.0
//
// Reads with toml++, which tells where each value stands, and edits the text there: a library that
// writes TOML loses comments and order.
#include "daemon/settings/config_file.h"

#define TOML_ENABLE_FORMATTERS 0
#include <algorithm>
#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/error.h"
#include "base/near_names.h"

namespace omg {
namespace {

constexpr size_t kMaxFileBytes = 1u << 20;

[[noreturn]] void refuse(const std::string& file, size_t line, const std::string& why) {
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("{}:{}: {}; correct the line, or see 'omg config --help'", file, line, why));
}

/// Byte offset of a position, whose column counts characters.
size_t offset_of(std::string_view text, const toml::source_position& position) {
  size_t at = 0;
  for (size_t line = 1; line < position.line; ++line) {
    at = std::min(text.size(), text.find('\n', at));
    if (at < text.size()) ++at;
  }
  for (size_t column = 1; column < position.column && at < text.size(); ++column) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
  }
  return at;
}

std::optional<std::string> list_text(const toml::array& array) {
  std::string text;
  for (const toml::node& node : array) {
    const auto element = node.value_exact<std::string>();
    if (!element || element->find(',') != std::string::npos) return std::nullopt;
    text += (text.empty() ? "" : ",") + *element;
  }
  return text;
}

/// A value as text; nothing where its type does not fit the setting's kind.
std::optional<std::string> text_of(const SettingInfo& info, const toml::node& node) {
  if (const auto* text = node.as_string()) {
    const bool fits = info.kind != SettingKind::kInteger && info.kind != SettingKind::kBoolean;
    return fits ? std::optional(text->get()) : std::nullopt;
  }
  if (const auto* number = node.as_integer()) {
    const bool fits = info.kind == SettingKind::kInteger || info.kind == SettingKind::kBytes ||
                      info.kind == SettingKind::kDuration;
    return fits ? std::optional(std::to_string(number->get())) : std::nullopt;
  }
  if (const auto* flag = node.as_boolean()) {
    if (info.kind != SettingKind::kBoolean) return std::nullopt;
    return flag->get() ? "true" : "false";
  }
  if (const auto* array = node.as_array(); array && info.kind == SettingKind::kList) {
    return list_text(*array);
  }
  return std::nullopt;
}

std::string not_in_file(const SettingInfo& info) {
  return fmt::format("{} is not kept in the file: set {} in the environment instead", info.name,
                     info.environment.empty() ? info.ollama : info.environment);
}

FileSetting read_setting(std::string_view text, const std::string& file, const toml::key& key,
                         const toml::node& node) {
  const size_t line = key.source().begin.line;
  FileSetting setting;
  try {
    setting.info = &require_setting(key.str());
    if (setting.info->kind == SettingKind::kSecret || setting.info->environment.empty()) {
      refuse(file, line, not_in_file(*setting.info));
    }
    const auto value = text_of(*setting.info, node);
    if (!value) {
      refuse(file, line,
             fmt::format("{} has a wrong type: it is {}", setting.info->name,
                         setting_takes(*setting.info)));
    }
    setting.text = checked_setting(*setting.info, *value);
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with(file + ":")) throw;
    refuse(file, line, error.what());
  }
  setting.line = line;
  setting.line_begin = offset_of(text, {key.source().begin.line, 1});
  setting.value_begin = offset_of(text, node.source().begin);
  setting.value_end = offset_of(text, node.source().end);
  return setting;
}

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {  // control characters are refused before
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string toml_value(const SettingInfo& info, const std::string& text) {
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  switch (info.kind) {
    case SettingKind::kInteger:
    case SettingKind::kBoolean:
      return text;
    case SettingKind::kBytes:
    case SettingKind::kDuration:
      return is_number ? std::to_string(std::stoll(text)) : toml_string(text);
    case SettingKind::kList: {
      std::string array = "[";
      for (std::string_view rest = text; !rest.empty();) {
        const std::string_view element = rest.substr(0, rest.find(','));
        array += (array.size() > 1 ? ", " : "") + toml_string(element);
        rest.remove_prefix(std::min(rest.size(), element.size() + 1));
      }
      return array + "]";
    }
    default:
      return toml_string(text);
  }
}

}  // namespace

std::vector<FileSetting> parse_config(std::string_view text, const std::string& file) {
  if (text.size() > kMaxFileBytes) refuse(file, 1, "the file has more than 1 MiB");
  std::vector<FileSetting> settings;
  try {
    const toml::table root = toml::parse(text, file);
    for (const auto& [key, node] : root) settings.push_back(read_setting(text, file, key, node));
  } catch (const toml::parse_error& error) {
    refuse(file, error.source().begin.line, std::string(error.description()));
  }
  std::sort(settings.begin(), settings.end(),
            [](const FileSetting& a, const FileSetting& b) { return a.info < b.info; });
  return settings;
}

std::string edited_config(const std::string& text, const std::string& file, const SettingInfo& info,
                          const std::optional<std::string>& value) {
  std::string result = text;
  const auto settings = parse_config(text, file);
  const auto old = std::find_if(settings.begin(), settings.end(),
                                [&](const FileSetting& setting) { return setting.info == &info; });
  if (old == settings.end()) {
    if (!value) return result;
    if (!result.empty() && !result.ends_with('\n')) result += '\n';
    result += std::string(info.name) + " = " + toml_value(info, *value) + '\n';
  } else if (value) {
    result.replace(old->value_begin, old->value_end - old->value_begin, toml_value(info, *value));
  } else {
    size_t end = std::min(result.find('\n', old->value_end), result.size());
    if (end < result.size()) ++end;
    result.erase(old->line_begin, end - old->line_begin);
  }
  // Whatever the positions were: what is written must say what was asked for.
  const auto after = parse_config(result, file);
  const auto now = std::find_if(after.begin(), after.end(),
                                [&](const FileSetting& setting) { return setting.info == &info; });
  const bool is_right = value ? now != after.end() && now->text == *value : now == after.end();
  if (!is_right || after.size() + (value ? 0 : 1) < settings.size()) {
    throw Error(ErrorCode::kInternal,
                fmt::format("{} was not changed: its line for {} is written in a way that cannot "
                            "be edited; edit the file by hand",
                            file, info.name));
  }
  return result;
}

}  // namespace omg
