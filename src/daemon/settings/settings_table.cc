// SPDX-License-Identifier: Apache-2.0
//
// The table of settings, and what values may be.
#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "base/near_names.h"
#include "base/utf8.h"
#include "daemon/requests/keep_alive.h"
#include "daemon/settings/settings.h"
#include "runtimes/parameters.h"

namespace omg {
namespace {

using Kind = SettingKind;

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;
constexpr int64_t kGiB = 1024 * kMiB;
constexpr int64_t kMaxBytes = 1024 * 1024 * kGiB;
constexpr size_t kMaxTextBytes = 4096;

constexpr std::array<SettingInfo, 30> kTable = {{
    {"host", Kind::kText, "Listening", "127.0.0.1", "OMG_HOST", "OLLAMA_HOST", 0, 0, "",
     "Name or address to listen on. Beyond this machine (0.0.0.0) an API key is needed; see "
     "'omg keys'."},
    {"port", Kind::kInteger, "Listening", "11434", "OMG_PORT", "OLLAMA_HOST", 0, 65535, "",
     "TCP port; 0: any free one."},
    {"socket", Kind::kText, "Listening", "auto", "OMG_SOCKET", "", 0, 0, "",
     "Path of the Unix socket, which needs no key; auto: in $XDG_RUNTIME_DIR; none: no socket."},
    {"hosts", Kind::kList, "Listening", "", "OMG_HOSTS", "", 0, 0, "",
     "Further names of this server that the header Host may have; '*' in one stands for anything."},
    {"origins", Kind::kList, "Listening", "", "OMG_ORIGINS", "OLLAMA_ORIGINS", 0, 0, "",
     "Web pages that may ask, beside those of this machine: https://chat.example.com, "
     "https://*.example.com."},
    {"tls_certificate", Kind::kPath, "Listening", "", "OMG_TLS_CERTIFICATE", "", 0, 0, "",
     "Certificate with its chain, PEM: TCP is served over TLS then."},
    {"tls_key", Kind::kPath, "Listening", "", "OMG_TLS_KEY", "", 0, 0, "",
     "The certificate's private key, PEM."},

    {"api_key", Kind::kSecret, "Access", "", "OMG_API_KEY", "", 0, 0, "",
     "A key that opens everything, for containers; from the environment alone. Others are made "
     "with 'omg keys'."},
    {"loopback_open", Kind::kBoolean, "Access", "true", "OMG_LOOPBACK_OPEN", "", 0, 0, "",
     "Whether users of this machine need no key over TCP, though there are keys."},
    {"max_body", Kind::kBytes, "Access", "32MiB", "OMG_MAX_BODY", "", 64 * kKiB, 4 * kGiB, "",
     "Bytes of a request at most."},
    {"max_connections", Kind::kInteger, "Access", "1024", "OMG_MAX_CONNECTIONS", "", 1, 100'000, "",
     "Connections at once; more are answered 503."},

    {"models", Kind::kPath, "Models", "", "OMG_MODELS", "", 0, 0, "",
     "Folder of the model store; not set: $XDG_DATA_HOME/ohmygpu/models."},
    {"keep_alive", Kind::kDuration, "Models", "5m", "OMG_KEEP_ALIVE", "OLLAMA_KEEP_ALIVE", 0, 0, "",
     "How long a model stays loaded after its last answer; 0: not at all; negative or forever."},
    {"load_timeout", Kind::kDuration, "Models", "5m", "OMG_LOAD_TIMEOUT", "OLLAMA_LOAD_TIMEOUT", 0,
     0, "", "A load that makes no progress for this long has failed."},
    {"max_models", Kind::kInteger, "Models", "0", "OMG_MAX_MODELS", "OLLAMA_MAX_LOADED_MODELS", 0,
     1024, "", "Models loaded at once; 0: as memory allows."},
    {"memory_budget", Kind::kBytes, "Models", "0", "OMG_MEMORY_BUDGET", "", 0, kMaxBytes, "",
     "Memory of all loaded models together; 0: what the machine has to spare."},
    {"memory_reserve", Kind::kBytes, "Models", "512MiB", "OMG_MEMORY_RESERVE", "", 0, kMaxBytes, "",
     "Memory that is left to others where there is no budget."},

    {"num_parallel", Kind::kInteger, "Answers", "64", "OMG_NUM_PARALLEL", "OLLAMA_NUM_PARALLEL", 0,
     1024, "", "Answers of a model at once; 0: 64. More wait."},
    {"max_queue", Kind::kInteger, "Answers", "512", "OMG_MAX_QUEUE", "OLLAMA_MAX_QUEUE", 1, 100'000,
     "", "Requests that may wait; more are refused."},
    {"context_length", Kind::kInteger, "Answers", "0", "OMG_CONTEXT_LENGTH",
     "OLLAMA_CONTEXT_LENGTH", 0, 1 << 30, "",
     "Tokens that prompt and answer may take; 0: the model's maximum, or what memory allows."},
    {"kv_type", Kind::kChoice, "Answers", "f16", "OMG_KV_TYPE", "OLLAMA_KV_CACHE_TYPE", 0, 0,
     "f16 q8_0 q4_0 f32", "How the KV cache is kept: smaller types hold more tokens."},
    {"prefix_cache_disk", Kind::kBytes, "Answers", "0", "OMG_PREFIX_CACHE_DISK", "", 0, kMaxBytes,
     "",
     "Disk for the KV cache of prompts and answers, all models together, so that what is known "
     "need "
     "not be computed again after a model was unloaded or the daemon restarted; 0: none. What "
     "users "
     "wrote can be derived from it: it is this user's alone, and 'omg cache forget' deletes it."},
    {"prefix_cache_folder", Kind::kPath, "Answers", "", "OMG_PREFIX_CACHE_FOLDER", "", 0, 0, "",
     "Where that is; not set: $XDG_CACHE_HOME/ohmygpu/prefixes."},
    {"threads", Kind::kInteger, "Answers", "0", "OMG_THREADS", "", 0, 1024, "",
     "Threads of an engine; 0: what this process may use."},

    {"idle_timeout", Kind::kDuration, "Clients", "75s", "OMG_IDLE_TIMEOUT", "", 0, 0, "",
     "How long a connection may be silent between requests."},
    {"body_timeout", Kind::kDuration, "Clients", "30s", "OMG_BODY_TIMEOUT", "", 0, 0, "",
     "How long 64 KiB of a request may take."},
    {"write_timeout", Kind::kDuration, "Clients", "30s", "OMG_WRITE_TIMEOUT", "", 0, 0, "",
     "How long a client may take for 64 KiB of an answer."},
    {"shutdown_grace", Kind::kDuration, "Clients", "10s", "OMG_SHUTDOWN_GRACE", "", 0, 0, "",
     "How long answers under way may go on when the daemon is stopped."},

    {"direct", Kind::kBoolean, "Commands", "false", "OMG_DIRECT", "", 0, 0, "",
     "Whether commands load models into their own process, without a daemon."},

    {"log_level", Kind::kChoice, "Log", "warn", "OMG_LOG", "", 0, 0, "debug info warn error off",
     "What is written to standard error."},
}};

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<int64_t> parse_bytes(std::string_view text) {
  const size_t size = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto number = parse_number(text.substr(0, size));
  std::string unit(trimmed(text.substr(size)));
  if (!number || *number < 0) return std::nullopt;
  for (const std::string_view ending : {"iB", "B", "b"}) {
    if (unit.ends_with(ending)) {
      unit.resize(unit.size() - ending.size());
      break;
    }
  }
  double factor = 1;
  if (!unit.empty()) {
    const size_t power = std::string_view("kmgtKMGT").find(unit);
    if (unit.size() != 1 || power == std::string_view::npos) return std::nullopt;
    for (size_t i = 0; i <= power % 4; ++i) factor *= 1024;
  }
  const double bytes = *number * factor;
  if (bytes > static_cast<double>(kMaxBytes)) return std::nullopt;
  return static_cast<int64_t>(bytes);
}

std::optional<KeepAlive> parse_time(std::string_view text) {
  if (text == "forever") return KeepAlive(-1);
  if (const auto duration = parse_duration(text)) return duration;
  return keep_alive_of(json::value(text));
}

std::optional<std::string> parse_boolean(std::string_view text) {
  for (const std::string_view yes : {"true", "1", "yes", "on"}) {
    if (text == yes) return "true";
  }
  for (const std::string_view no : {"false", "0", "no", "off"}) {
    if (text == no) return "false";
  }
  return std::nullopt;
}

/// "a, b ,c" as "a,b,c"; nothing where an element is no word.
std::optional<std::string> parse_list(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::string_view element = trimmed(text.substr(0, text.find(',')));
    text.remove_prefix(std::min(
        text.size(), text.find(',') == std::string_view::npos ? text.size() : text.find(',') + 1));
    if (element.empty()) continue;
    if (element.find_first_of(" \t\r\n\"") != std::string_view::npos) return std::nullopt;
    result += (result.empty() ? "" : ",") + std::string(element);
  }
  return result;
}

bool is_choice(std::string_view choices, std::string_view text) {
  return !text.empty() && text.find(' ') == std::string_view::npos &&
         (" " + std::string(choices) + " ").find(" " + std::string(text) + " ") !=
             std::string::npos;
}

bool is_plain(std::string_view text) {
  return text.size() <= kMaxTextBytes && is_valid_utf8(text) &&
         std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// The value as it is kept, or nothing for what cannot be.
std::optional<std::string> accepted(const SettingInfo& info, std::string_view text) {
  switch (info.kind) {
    case Kind::kText:
      return text.empty() ? std::nullopt : std::optional(std::string(text));
    case Kind::kSecret:
      return std::string(text);
    case Kind::kPath:
      if (!text.empty() && !text.starts_with('/')) return std::nullopt;
      return std::string(text);
    case Kind::kInteger: {
      const auto number = parse_integer(text);
      if (!number || *number < info.least || *number > info.most) return std::nullopt;
      return std::to_string(*number);
    }
    case Kind::kBytes: {
      const auto bytes = parse_bytes(text);
      if (!bytes || *bytes < info.least || *bytes > info.most) return std::nullopt;
      return std::string(text);
    }
    case Kind::kDuration:
      return parse_time(text) ? std::optional(std::string(text)) : std::nullopt;
    case Kind::kBoolean:
      return parse_boolean(text);
    case Kind::kChoice:
      return is_choice(info.choices, text) ? std::optional(std::string(text)) : std::nullopt;
    case Kind::kList:
      return parse_list(text);
  }
  return std::nullopt;
}

/// "64KiB", "4GiB", for people.
std::string bytes_text(int64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + std::string(kUnits[unit]);
}

}  // namespace

std::span<const SettingInfo> setting_table() {
  return kTable;
}

const SettingInfo* find_setting(std::string_view name) {
  const auto found = std::find_if(kTable.begin(), kTable.end(),
                                  [&](const SettingInfo& info) { return info.name == name; });
  return found == kTable.end() ? nullptr : &*found;
}

const SettingInfo& require_setting(std::string_view name) {
  if (const SettingInfo* info = find_setting(name)) return *info;
  std::vector<std::string> names;
  for (const SettingInfo& info : kTable) names.emplace_back(info.name);
  const auto near = near_names(name, names);
  throw Error(ErrorCode::kNotFound,
              fmt::format("there is no setting '{}'{}", replace_invalid_utf8(name.substr(0, 64)),
                          near.empty() ? "; 'omg config list' shows all" : did_you_mean(near)));
}

std::string setting_takes(const SettingInfo& info) {
  switch (info.kind) {
    case Kind::kText:
      return "a text";
    case Kind::kSecret:
      return "a secret, from the environment alone";
    case Kind::kPath:
      return "an absolute path";
    case Kind::kInteger:
      return fmt::format("a whole number from {} to {}", info.least, info.most);
    case Kind::kBytes:
      return fmt::format("a size such as 8GiB, from {} to {}", bytes_text(info.least),
                         bytes_text(info.most));
    case Kind::kDuration:
      return "a duration such as 90s, 5m or 1h30m, a number of seconds, or forever";
    case Kind::kBoolean:
      return "true or false";
    case Kind::kChoice: {
      std::string choices(info.choices);
      for (size_t at = 0; (at = choices.find(' ', at)) != std::string::npos; at += 2) {
        choices.replace(at, 1, ", ");
      }
      return "one of " + choices;
    }
    case Kind::kList:
      return "a list of words with commas between";
  }
  return "";
}

std::string checked_setting(const SettingInfo& info, std::string_view text) {
  text = trimmed(text);
  const auto value = is_plain(text) ? accepted(info, text) : std::nullopt;
  if (value) return *value;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} cannot be '{}': it is {}", info.name,
                          replace_invalid_utf8(text.substr(0, 64)), setting_takes(info)));
}

int64_t parse_setting_bytes(std::string_view text) {
  return parse_bytes(text).value_or(0);
}

std::chrono::milliseconds parse_setting_duration(std::string_view text) {
  return parse_time(text).value_or(KeepAlive(0));
}

}  // namespace omg
