// SPDX-License-Identifier: Apache-2.0
#include "daemon/settings/settings.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "daemon/settings/config_file.h"
#include "runtimes/parameters.h"

namespace omg {
namespace {

constexpr uint64_t kMaxFileBytes = 1u << 20;

std::optional<std::string> process_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

/// What OLLAMA_HOST and OMG_HOST say: "host", "host:port", ":port", and URLs of these.
struct HostAndPort {
  std::string host;
  std::string port;  // "" where none is named
};

HostAndPort split_host(std::string_view text) {
  HostAndPort result;
  if (text.starts_with("http://")) {
    result.port = "80";
    text.remove_prefix(7);
  } else if (text.starts_with("https://")) {
    result.port = "443";
    text.remove_prefix(8);
  }
  text = text.substr(0, text.find('/'));
  const size_t bracket = text.rfind(']');
  const size_t colon = text.rfind(':');
  const bool is_bare_ipv6 =
      bracket == std::string_view::npos && colon != text.find(':');  // "::1", no port
  if (colon != std::string_view::npos && !is_bare_ipv6 &&
      (bracket == std::string_view::npos || colon > bracket)) {
    if (colon + 1 < text.size()) result.port = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  result.host = text;
  return result;
}

/// What a variable says about a setting; nothing where it says nothing.
std::optional<std::string> value_in(const SettingInfo& info, std::string_view variable,
                                    const std::string& text) {
  if (variable != "OLLAMA_HOST" && variable != "OMG_HOST") return text;
  const HostAndPort both = split_host(text);
  const std::string& own = info.name == "host" ? both.host : both.port;
  if (own.empty()) return std::nullopt;
  return own;
}

[[noreturn]] void refuse_source(const std::string& from, const Error& error) {
  throw Error(ErrorCode::kInvalidArgument, from + ": " + error.what());
}

std::string config_folder() {
  const auto config = process_variable("XDG_CONFIG_HOME");
  if (config && config->starts_with('/')) return *config;
  const auto home = process_variable("HOME");
  return home ? *home + "/.config" : "";
}

/// The file behind a link, so that replacing it leaves the link.
std::string real_file(FileSystem& files, const std::string& file) {
  const auto info = files.info(file);
  return info && info->kind == FileInfo::Kind::kLink ? files.real_path(file) : file;
}

std::string read_config(FileSystem& files, const std::string& file) {
  const std::string path = real_file(files, file);
  return files.info(path) ? read_file(files, path, kMaxFileBytes) : "";
}

void write_config(FileSystem& files, const std::string& file, const std::string& text) {
  const std::string path = real_file(files, file);
  make_folders(files, folder_of(path));
  write_file_atomically(files, path + ".new", path, text);
}

const SettingInfo& writable_setting(std::string_view name) {
  const SettingInfo& info = require_setting(name);
  if (info.kind == SettingKind::kSecret || info.environment.empty()) {
    const std::string_view variable = info.environment.empty() ? info.ollama : info.environment;
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("{} is not kept in the file: set {} in the environment", info.name, variable));
  }
  return info;
}

}  // namespace

SettingsSources default_settings_sources() {
  SettingsSources sources;
  if (const auto named = process_variable("OMG_CONFIG")) {
    sources.file = *named;
    sources.file_must_exist = true;
  } else if (const std::string folder = config_folder(); !folder.empty()) {
    sources.file = folder + "/ohmygpu/config.toml";
  }
  return sources;
}

Settings Settings::load(FileSystem& files, const SettingsSources& sources) {
  Settings settings;
  settings.file_ = sources.file;
  for (const SettingInfo& info : setting_table()) {
    settings.values_[std::string(info.name)] = {
        {SettingSource::kBuiltIn, "built in", std::string(info.default_text)}};
  }
  if (!sources.file.empty()) {
    if (sources.file_must_exist && !files.info(sources.file)) {
      throw Error(ErrorCode::kNotFound, "there is no configuration file " + sources.file +
                                            ", which OMG_CONFIG names; make it, or unset that");
    }
    for (const FileSetting& own : parse_config(read_config(files, sources.file), sources.file)) {
      settings.values_[std::string(own.info->name)].push_back(
          {SettingSource::kFile, fmt::format("{}:{}", sources.file, own.line), own.text});
    }
  }
  const auto variable = sources.variable ? sources.variable : process_variable;
  const auto add = [&](const SettingInfo& info, SettingSource source, const std::string& from,
                       const std::string& text) {
    try {
      settings.values_[std::string(info.name)].push_back(
          {source, from, checked_setting(info, text)});
    } catch (const Error& error) {
      refuse_source(from, error);
    }
  };
  const auto look = [&](const SettingInfo& info, SettingSource source, std::string_view name) {
    if (name.empty()) return;
    const auto all = variable(std::string(name));
    const auto text = all && !all->empty() ? value_in(info, name, *all) : std::nullopt;
    if (text) add(info, source, std::string(name), *text);
  };
  for (const SettingInfo& info : setting_table()) {
    look(info, SettingSource::kOllama, info.ollama);
    if (info.name == "port") look(info, SettingSource::kEnvironment, "OMG_HOST");
    look(info, SettingSource::kEnvironment, info.environment);
  }
  for (const auto& [name, text] : sources.flags) {
    const SettingInfo& info = require_setting(name);
    std::string flag = "--" + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    add(info, SettingSource::kFlag, flag, text);
  }
  return settings;
}

const std::vector<SettingValue>& Settings::explain(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) {
    throw Error(ErrorCode::kInternal, "there is no setting '" + std::string(name) + "'");
  }
  return found->second;
}

const SettingValue& Settings::value(std::string_view name) const {
  return explain(name).back();
}

const std::string& Settings::text(std::string_view name) const {
  return value(name).text;
}

int64_t Settings::integer(std::string_view name) const {
  const SettingInfo* info = find_setting(name);
  const std::string& own = text(name);
  if (info->kind == SettingKind::kBytes) return parse_setting_bytes(own);
  const auto number = parse_integer(own);
  if (!number) {
    throw Error(ErrorCode::kInternal, "the setting " + std::string(name) + " is no number");
  }
  return *number;
}

std::chrono::milliseconds Settings::duration(std::string_view name) const {
  return parse_setting_duration(text(name));
}

bool Settings::boolean(std::string_view name) const {
  return text(name) == "true";
}

std::vector<std::string> Settings::list(std::string_view name) const {
  std::vector<std::string> elements;
  for (std::string_view rest = text(name); !rest.empty();) {
    const std::string_view element = rest.substr(0, rest.find(','));
    elements.emplace_back(element);
    rest.remove_prefix(std::min(rest.size(), element.size() + 1));
  }
  return elements;
}

std::string Settings::key_file() const {
  return file_.empty() ? "" : folder_of(file_) + "/keys.json";
}

void set_in_file(FileSystem& files, const std::string& file, std::string_view name,
                 std::string_view text) {
  const SettingInfo& info = writable_setting(name);
  const std::string value = checked_setting(info, text);
  write_config(files, file, edited_config(read_config(files, file), file, info, value));
}

bool unset_in_file(FileSystem& files, const std::string& file, std::string_view name) {
  const SettingInfo& info = writable_setting(name);
  const std::string before = read_config(files, file);
  const std::string after = edited_config(before, file, info, std::nullopt);
  if (after == before) return false;
  write_config(files, file, after);
  return true;
}

}  // namespace omg
