// SPDX-License-Identifier: Apache-2.0
//
// `omg doctor`: what on this machine keeps models from running well, and what to do about it. Here
// it looks; what that means is told by the checks in doctor/.
#include <future>

#include "base/error.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/daemon_settings.h"
#include "clients/cli/doctor/daemon_checks.h"
#include "clients/cli/doctor/hub_checks.h"
#include "clients/cli/doctor/machine_checks.h"
#include "clients/cli/doctor/report.h"
#include "clients/cli/doctor/settings_checks.h"
#include "clients/cli/doctor/store_checks.h"
#include "clients/cli/doctor/system_checks.h"
#include "clients/cli/hub_parts.h"
#include "clients/cli/suggestions.h"
#include "net/url.h"
#include "store/store.h"

namespace omg::cli {
namespace {

using namespace doctor;

constexpr std::chrono::milliseconds kDaemonPatience{1500};
constexpr std::chrono::milliseconds kHubPatience{6000};
constexpr size_t kWidest = 110;

#if defined(__x86_64__)
constexpr bool kIsX86 = true;
#else
constexpr bool kIsX86 = false;
#endif

void add(Findings& findings, Findings more) {
  for (Finding& finding : more) findings.push_back(std::move(finding));
}

ProcessorState look_at_processor(const CpuInfo& cpu) {
  ProcessorState state;
  state.cpu = cpu;
  state.is_x86 = kIsX86;
  for (const IsaInfo& info : isa_table()) {
    if (!isa_is_supported(info.isa)) continue;
    state.best = info.isa;
    break;
  }
  try {
    state.chosen = choose_isa();
  } catch (const Error& error) {
    state.choice_error = error.what();
  }
  return state;
}

MemoryState look_at_memory(const MemoryInfo& memory, const Settings& settings) {
  MemoryState state;
  state.memory = memory;
  state.budget = static_cast<uint64_t>(settings.integer("memory_budget"));
  const uint64_t for_models = memory_for_models(settings);
  state.largest_download = estimated_largest_download(for_models);
  const auto suggestions = suggest_models(Catalog::built_in(), for_models, 1);
  if (!suggestions.empty()) state.example = suggestions.front().name;
  return state;
}

Findings look_at_machine(const Settings& settings) {
  const Machine machine = probe_machine();
  Findings findings;
  findings.push_back(check_processor(look_at_processor(machine.cpu)));
  findings.push_back(check_threads({machine.cpu.threads, machine.affinity, machine.quota}));
  findings.push_back(check_memory(look_at_memory(machine.memory, settings)));
  findings.push_back(check_swap(machine.memory));
  add(findings, check_gpus(machine.gpus));
  return findings;
}

Findings look_at_store(const Settings& settings) {
  std::string folder = settings.text("models");
  try {
    if (folder.empty()) folder = default_models_folder();
  } catch (const Error& error) {
    return {problem("store", error.what(), "models can be neither brought here nor kept",
                    "export OMG_MODELS=/FOLDER")};
  }
  FolderState state = look_at_folder(folder);
  state.configured_by = settings.value("models").from;
  Findings findings = {check_folder(state), check_disk(state)};
  // Opening one that is not there would make it.
  if (state.exists && state.refusal.empty()) {
    findings.push_back(check_models(look_at_models(folder)));
  }
  return findings;
}

SettingsState look_at_settings(const LenientSettings& configured) {
  SettingsState state;
  state.error = configured.error;
  state.file = default_settings_sources().file;
  RealFileSystem files;
  try {
    state.file_exists = !state.file.empty() && files.info(state.file).has_value();
  } catch (const Error&) {  // `error` says it
  }
  try {
    Catalog::load();
  } catch (const Error& error) {
    state.catalog_error = error.what();
  }
  for (const char* name : {"tls_certificate", "tls_key"}) {
    look_at_named_file(name, configured.settings.text(name), state.unreadable_files);
  }
  return state;
}

Findings look_at_daemon(const Settings& settings) {
  const DaemonAddress address = address_of(settings);
  PortState port;
  port.host = settings.text("host");
  port.port = static_cast<uint16_t>(settings.integer("port"));
  port.daemon = ask_health(address, kDaemonPatience);
  if (!is_of_this_machine(port.host)) return {check_other_machine(address.url, port.daemon)};
  if (port.port != 0) port.owners = port_owners(port.host, port.port);
  for (const PortOwner& owner : port.owners) {
    if (port.daemon && owner.process == port.daemon->process) port.is_daemon_on_port = true;
  }
  const bool is_taken = !port.owners.empty() && !port.is_daemon_on_port;
  // Our daemon, started by another user or with another socket, says "Ollama is running", too.
  DaemonAddress by_port;
  by_port.url = address.url;
  port.is_ollama = is_taken && says_ollama(by_port.url, kDaemonPatience) &&
                   !ask_health(by_port, kDaemonPatience);
  return {check_port(port), check_socket(look_at_socket(socket_path(settings)))};
}

HubState ask(std::string name, const std::string& url, const std::string& path, std::string lost) {
  HubState hub;
  hub.name = std::move(name);
  hub.url = url;
  hub.lost = std::move(lost);
  ask_hub(hub, path, hub_client_options({}), kHubPatience);
  return hub;
}

/// Both at once: where nothing answers each takes its whole time.
Findings look_at_hubs(SettingsState& settings, ClockState& clock) {
  std::future<HubState> registry = std::async(std::launch::async, [] {
    return ask("registry", "https://registry.ollama.ai", "/v2/",
               "models named as Ollama's (omg pull llama3:8b from its library) cannot be brought "
               "here");
  });
  Findings findings;
  std::optional<HubState> hub;
  try {
    const std::string url = HuggingFaceOptions::from_environment().endpoints.front();
    hub = ask("hub", url, "/api/models?limit=1",
              "models of Hugging Face cannot be found or brought here; those that are here run");
    findings.push_back(check_hub(*hub));
  } catch (const Error& error) {
    settings.hub_error = error.what();
  }
  const HubState other = registry.get();
  findings.push_back(check_hub(other));
  const HubState& told = hub && hub->date ? *hub : other;
  if (told.date) {
    clock.hub = told.date;
    clock.now = told.asked_at;
    clock.hub_name = parse_url(told.url).host;
  }
  return findings;
}

class DoctorCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.flag("--offline", offline_, "Do not ask whether hubs and registries can be reached");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "Looks at the processor, GPUs and their drivers, memory, disk, the daemon's port and "
        "socket,\n"
        "hubs, the clock and limits of open files. Exits with 1 where something has to be mended.\n"
        "\n"
        "Examples:\n"
        "  omg doctor\n"
        "  omg doctor --offline");
  }

  void run(Terminal& terminal) override {
    terminal.status("looking…");
    const Findings findings = look();
    terminal.status("");
    if (json_) {
      terminal.out(json::serialize(report_json(findings)) + "\n");
    } else {
      const size_t columns = std::min(static_cast<size_t>(terminal.width()), kWidest);
      terminal.out(report_text(findings, terminal, terminal.out_is_tty() ? columns : 0));
    }
    if (count(findings, Level::kProblem) > 0) throw Failed();
  }

 private:
  Findings look() const {
    const LenientSettings configured = load_settings_leniently();
    const Settings& settings = configured.settings;
    SettingsState settings_state = look_at_settings(configured);
    ClockState clock;
    clock.now = std::chrono::duration_cast<std::chrono::seconds>(
                    std::chrono::system_clock::now().time_since_epoch())
                    .count();
    const Findings hubs = offline_ ? Findings() : look_at_hubs(settings_state, clock);
    LimitState limits = look_at_limits();
    limits.connections = static_cast<uint64_t>(settings.integer("max_connections"));

    Findings findings = look_at_machine(settings);
    add(findings, look_at_store(settings));
    add(findings, check_settings(settings_state));
    add(findings, look_at_daemon(settings));
    add(findings, hubs);
    findings.push_back(check_clock(clock));
    findings.push_back(check_open_files(limits));
    if (auto space = check_address_space(limits)) findings.push_back(std::move(*space));
    return findings;
  }

  bool offline_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_doctor_command() {
  return std::make_unique<DoctorCommand>();
}

}  // namespace omg::cli
