// SPDX-License-Identifier: Apache-2.0
//
// What can be configured, where each value came from, and how one is changed. One table gives every
// setting its name, kind, default, range, help and names in the environment; command line, file and
// `omg config` all read it. Sources, weakest first: built in, the file, OLLAMA_*, OMG_*, flags.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"

namespace omg {

enum class SettingKind {
  kText,
  kPath,      // absolute
  kInteger,   // from least to most
  kBytes,     // "8GiB", "512M", or a number of bytes
  kDuration,  // "5m", "1h30m", a number of seconds; negative or "forever"
  kBoolean,
  kChoice,  // one of the choices
  kList,    // of words without spaces: "a,b" in text, an array in the file
  kSecret,  // from the environment alone
};

struct SettingInfo {
  std::string_view name;
  SettingKind kind;
  std::string_view group;         // heading in listings
  std::string_view default_text;  // "" is "not set" but for texts and lists
  std::string_view environment;   // "OMG_…"
  std::string_view ollama;        // the name that Ollama has for it, or ""
  int64_t least = 0;              // of kInteger and kBytes
  int64_t most = 0;
  std::string_view choices;  // of kChoice, with spaces between
  std::string_view help;
};

/// Groups together, in the order of listings.
std::span<const SettingInfo> setting_table();
/// Null for a name that is none.
const SettingInfo* find_setting(std::string_view name);
/// Error(kNotFound) tells the names most like it.
const SettingInfo& require_setting(std::string_view name);
/// "a whole number from 1 to 1024", for messages and help.
std::string setting_takes(const SettingInfo& info);

enum class SettingSource { kBuiltIn, kFile, kOllama, kEnvironment, kFlag };

/// A value that a source has for a setting.
struct SettingValue {
  SettingSource source = SettingSource::kBuiltIn;
  std::string from;  // "/home/…/config.toml:12", "OMG_PORT", "--port", "built in"
  std::string text;  // as it is written for people
};

struct SettingsSources {
  /// The file; need not be there. "": none.
  std::string file;
  /// Whether it is an error if it is not there.
  bool file_must_exist = false;
  /// A variable of the environment; null: the process's.
  std::function<std::optional<std::string>(const std::string& name)> variable;
  /// By setting name, what the command line says.
  std::map<std::string, std::string> flags;
};

/// OMG_CONFIG, else $XDG_CONFIG_HOME/ohmygpu/config.toml, else ~/.config/ohmygpu/config.toml. With
/// the process's environment.
SettingsSources default_settings_sources();

class Settings {
 public:
  /// Reads all sources. Error(kInvalidArgument) names source, setting and what is wrong: a value
  /// outside its range, a key that is no setting (with near names), a file that is no TOML;
  /// kNotFound for a file that must exist. `files` is used during the call only.
  static Settings load(FileSystem& files, const SettingsSources& sources);

  // Values, by name. Error(kInternal) for a name or kind that the table does not have.
  const std::string& text(std::string_view name) const;
  int64_t integer(std::string_view name) const;                     // kInteger, kBytes
  std::chrono::milliseconds duration(std::string_view name) const;  // negative: for ever
  bool boolean(std::string_view name) const;
  std::vector<std::string> list(std::string_view name) const;

  /// What holds, and where it came from.
  const SettingValue& value(std::string_view name) const;
  /// What all sources say, weakest first; the last one holds.
  const std::vector<SettingValue>& explain(std::string_view name) const;
  const std::string& file() const { return file_; }
  /// Beside the file; "" without one.
  std::string key_file() const;

 private:
  std::string file_;
  std::map<std::string, std::vector<SettingValue>, std::less<>> values_;
};

/// `text` as it may stand for a setting, without spaces round it. Error(kInvalidArgument) "port
/// cannot be 'x': it is a whole number from 0 to 65535".
std::string checked_setting(const SettingInfo& info, std::string_view text);
/// As numbers, for what checked_setting() has let through.
int64_t parse_setting_bytes(std::string_view text);
std::chrono::milliseconds parse_setting_duration(std::string_view text);

/// Writes a value into the file (made if it is missing): the one line changes, comments and order
/// stay. Error(kInvalidArgument) for a value that cannot be, for kSecret, and for a file that
/// cannot be read already.
void set_in_file(FileSystem& files, const std::string& file, std::string_view name,
                 std::string_view text);
/// Takes it out of the file. False where it was not there.
bool unset_in_file(FileSystem& files, const std::string& file, std::string_view name);

}  // namespace omg
