// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/daemon_settings.h"

#include <cstdlib>
#include <fmt/format.h>
#include <random>
#include <set>

#include "base/error.h"
#include "clients/cli/hub_parts.h"
#include "clients/cli/open_store.h"
#include "net/ip_address.h"

namespace omg::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// $XDG_STATE_HOME/ohmygpu, or its usual place; "" where there is no home.
std::string state_folder() {
  const std::string state = variable("XDG_STATE_HOME");
  if (state.starts_with('/')) return state + "/ohmygpu";
  const std::string home = variable("HOME");
  return home.starts_with('/') ? home + "/.local/state/ohmygpu" : "";
}

/// $XDG_CACHE_HOME/ohmygpu, or its usual place; "" where there is no home.
std::string cache_folder() {
  const std::string cache = variable("XDG_CACHE_HOME");
  if (cache.starts_with('/')) return cache + "/ohmygpu";
  const std::string home = variable("HOME");
  return home.starts_with('/') ? home + "/.cache/ohmygpu" : "";
}

std::string flag_form(const SettingInfo& info) {
  std::string form = "--" + std::string(info.name);
  for (char& c : form) {
    if (c == '_') c = '-';
  }
  switch (info.kind) {
    case SettingKind::kInteger:
      return form + " N";
    case SettingKind::kBytes:
      return form + " SIZE";
    case SettingKind::kDuration:
      return form + " TIME";
    case SettingKind::kPath:
      return form + " PATH";
    case SettingKind::kList:
      return form + " LIST";
    default:
      return form + " VALUE";
  }
}

HttpServerLimits server_limits(const Settings& settings) {
  HttpServerLimits limits;
  limits.max_body_bytes = static_cast<uint64_t>(settings.integer("max_body"));
  limits.max_connections = static_cast<size_t>(settings.integer("max_connections"));
  limits.idle_timeout = settings.duration("idle_timeout");
  limits.body_timeout = settings.duration("body_timeout");
  limits.write_timeout = settings.duration("write_timeout");
  return limits;
}

LifecycleOptions lifecycle_options(const Settings& settings) {
  LifecycleOptions options;
  options.memory_budget = static_cast<uint64_t>(settings.integer("memory_budget"));
  options.memory_reserve = static_cast<uint64_t>(settings.integer("memory_reserve"));
  options.max_loaded_models = static_cast<size_t>(settings.integer("max_models"));
  options.keep_alive = settings.duration("keep_alive");
  options.max_waiting = static_cast<size_t>(settings.integer("max_queue"));
  options.max_waiting_in_run = static_cast<uint32_t>(settings.integer("max_queue"));
  options.load_timeout = settings.duration("load_timeout");
  options.context_length = static_cast<uint32_t>(settings.integer("context_length"));
  const int64_t parallel = settings.integer("num_parallel");
  if (parallel > 0) options.max_sequences = static_cast<uint32_t>(parallel);
  options.threads = static_cast<uint32_t>(settings.integer("threads"));
  options.kv_type = settings.text("kv_type");
  options.prefix_bytes = static_cast<uint64_t>(settings.integer("prefix_cache_disk"));
  options.prefix_folder = prefix_folder(settings);
  if (options.prefix_bytes > 0 && options.prefix_folder.empty()) {
    throw Error(ErrorCode::kUsage,
                "neither XDG_CACHE_HOME nor HOME is set: prefix_cache_disk needs a "
                "prefix_cache_folder");
  }
  return options;
}

}  // namespace

void DaemonFlags::define(Arguments& arguments) {
  for (const SettingInfo& info : setting_table()) {
    if (info.kind == SettingKind::kSecret) continue;  // other users see command lines
    if (info.group == "Commands") continue;           // about commands that are no daemon
    const auto set = [this, name = std::string(info.name)](const std::string& text) {
      given_[name] = text;
    };
    std::string help(info.help);
    if (help.ends_with('.')) help.pop_back();
    arguments.option(flag_form(info), set, help).group(std::string(info.group));
  }
}

Settings DaemonFlags::settings() const {
  SettingsSources sources = default_settings_sources();
  sources.flags = given_;
  RealFileSystem files;
  return Settings::load(files, sources);
}

Settings load_settings() {
  return DaemonFlags().settings();
}

std::string socket_path(const Settings& settings) {
  const std::string& configured = settings.text("socket");
  if (configured == "none") return "";
  if (configured != "auto") return configured;
  const std::string runtime = variable("XDG_RUNTIME_DIR");
  if (runtime.starts_with('/')) return runtime + "/ohmygpu.sock";
  const std::string state = state_folder();
  return state.empty() ? "" : state + "/ohmygpu.sock";
}

bool is_of_this_machine(const std::string& host) {
  if (host == "localhost" || host == "0.0.0.0" || host == "::" || host == "*") return true;
  return host.starts_with("127.") || host == "::1";
}

LenientSettings load_settings_leniently() {
  std::string error;
  std::set<std::string> left_out;
  RealFileSystem files;
  SettingsSources sources = default_settings_sources();
  sources.variable = [&](const std::string& name) -> std::optional<std::string> {
    const std::string value = left_out.contains(name) ? "" : variable(name.c_str());
    if (value.empty()) return std::nullopt;
    return value;
  };
  while (true) {
    try {
      return {Settings::load(files, sources), error};
    } catch (const Error& failure) {
      const std::string message = failure.what();
      if (error.empty()) error = message;
      // "OMG_PORT: port cannot be …"; what names no variable is about the file.
      const std::string name = message.substr(0, message.find(": "));
      if (variable(name.c_str()).empty() || !left_out.insert(name).second) {
        if (sources.file.empty()) throw;
        sources.file.clear();
        sources.file_must_exist = false;
      }
    }
  }
}

DaemonOptions daemon_options(const Settings& settings) {
  DaemonOptions options;
  const std::string socket = socket_path(settings);
  if (!socket.empty()) options.endpoints.push_back({.unix_path = socket});
  options.endpoints.push_back(
      {.host = settings.text("host"), .port = static_cast<uint16_t>(settings.integer("port"))});
  options.limits = server_limits(settings);
  options.pages.hosts = settings.list("hosts");
  options.pages.origins = settings.list("origins");
  if (!settings.text("tls_certificate").empty()) {
    options.tls = HttpTls{settings.text("tls_certificate"), settings.text("tls_key")};
  }
  options.keys.key_file = settings.key_file();
  options.keys.extra_keys = {settings.text("api_key")};
  options.keys.loopback_open = settings.boolean("loopback_open");
  options.store = store_options(settings);
  options.lifecycle = lifecycle_options(settings);
  options.hub = {.http = hub_client_options({}), .hub = hub_options()};
  options.transfers.seed = std::random_device{}();
  options.grace = settings.duration("shutdown_grace");
  return options;
}

DaemonAddress address_of(const Settings& settings) {
  DaemonAddress address;
  address.api_key = settings.text("api_key");
  const std::string& host = settings.text("host");
  const bool is_here = is_of_this_machine(host);
  if (is_here) address.unix_socket = socket_path(settings);
  const std::string scheme = settings.text("tls_certificate").empty() ? "http" : "https";
  const bool is_v6 = host.find(':') != std::string::npos;
  address.url =
      fmt::format("{}://{}:{}", scheme, is_v6 ? "[" + host + "]" : host, settings.integer("port"));
  return address;
}

std::string prefix_folder(const Settings& settings) {
  const std::string& configured = settings.text("prefix_cache_folder");
  if (!configured.empty()) return configured;
  const std::string cache = cache_folder();
  return cache.empty() ? "" : cache + "/prefixes";
}

LogLevel daemon_log_level(const Settings& settings) {
  if (settings.value("log_level").source == SettingSource::kBuiltIn) return LogLevel::kInfo;
  const std::string& level = settings.text("log_level");
  if (level == "debug") return LogLevel::kDebug;
  if (level == "info") return LogLevel::kInfo;
  if (level == "error") return LogLevel::kError;
  return level == "off" ? LogLevel::kOff : LogLevel::kWarn;
}

std::string daemon_log_path() {
  const std::string folder = state_folder();
  if (!folder.empty()) return folder + "/daemon.log";
  throw Error(ErrorCode::kUsage,
              "neither XDG_STATE_HOME nor HOME is set: the log of a daemon in the background has "
              "no place; run 'omg serve' without --detach");
}

}  // namespace omg::cli
