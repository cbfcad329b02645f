// SPDX-License-Identifier: Apache-2.0
//
// `omg create`: a model of the daemon's out of a Modelfile, of another model or of .gguf files. The
// files go to the daemon, which may be on another machine.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "base/digest.h"
#include "base/mapped_file.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/daemon_process.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/options.h"
#include "clients/cli/progress_bar.h"
#include "daemon/requests/model_settings.h"
#include "daemon/requests/modelfile.h"

namespace omg::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHashPiece = 16u << 20;

/// The file that a FROM line means, seen from `folder`; nothing for the name of a model.
std::optional<fs::path> file_of(const std::string& from, const fs::path& folder) {
  fs::path path(from);
  const char* home = std::getenv("HOME");
  if (from.starts_with("~/") && home != nullptr) path = fs::path(home) / from.substr(2);
  path = folder / path;  // an absolute one stays
  std::error_code ignored;
  const fs::file_type type = fs::status(path, ignored).type();
  const bool looks_like_path = from.starts_with("/") || from.starts_with("./") ||
                               from.starts_with("../") || from.starts_with("~") ||
                               from.ends_with(".gguf");
  if (type == fs::file_type::directory && looks_like_path) {
    throw Error(ErrorCode::kUnsupported,
                "FROM " + from + " is a folder: name the .gguf files in it, each on a FROM line");
  }
  if (type == fs::file_type::regular) return path;
  if (!looks_like_path) return std::nullopt;
  throw Error(ErrorCode::kNotFound, "FROM " + from +
                                        ": there is no such file; paths are seen from " +
                                        "the Modelfile's folder, " + fs::absolute(folder).string());
}

class CreateCommand final : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments.positional("NAME", name_, "What the model is to be called").required();
    const Argument& file = arguments.option(
        "-f,--file FILE", file_, "A Modelfile; default without --from: Modelfile, in this folder");
    arguments.option("--from MODEL", from_, "A model, or a .gguf file, instead of a Modelfile")
        .excludes(file);
    arguments.option("-q,--quantize TYPE", quantize_, "Weights of this type, such as Q4_K_M");
    arguments.option("--system TEXT", system_, "System message");
    add_parameter_flags(arguments, parameters_);
    arguments.footer(
        "A Modelfile says what Ollama's does: FROM, PARAMETER, TEMPLATE (Jinja), SYSTEM, MESSAGE,\n"
        "LICENSE. No weights are copied where FROM names a model; files are sent to the daemon\n"
        "('omg import' uses files of this machine where they are).\n\n"
        "Examples:\n"
        "  omg create pirate --from llama3.2:1b --system \"You are a pirate.\" --temperature 1.2\n"
        "  omg create assistant -f Modelfile\n"
        "  omg create mine:q4 --from model-f16.gguf --quantize Q4_K_M");
  }

  void run(Terminal& terminal) override {
    const Modelfile modelfile = read();
    for (const std::string& warning : modelfile.warnings) terminal.note("warning: " + warning);
    if (!modelfile.adapters.empty()) {
      throw Error(ErrorCode::kUnsupported,
                  "ADAPTER cannot be used yet: merge the adapter into its model, and create from "
                  "that");
    }
    const InterruptGuard guard(cancellation_, /*second_kills=*/true);
    DaemonClient daemon(reach_daemon(terminal));
    json::object request = request_of(modelfile);
    add_sources(modelfile, daemon, request, terminal);
    follow(daemon, request, terminal);
    terminal.note(fmt::format("created '{}'", printable(name_)));
  }

 private:
  Modelfile read() {
    Modelfile modelfile;
    if (!from_.empty()) {
      modelfile.from = {from_};
    } else {
      if (file_.empty()) file_ = "Modelfile";
      std::error_code ignored;
      if (file_ == "Modelfile" && !fs::exists(file_, ignored)) {
        throw Error(ErrorCode::kUsage,
                    "there is no Modelfile in this folder: name one with -f, or a model with "
                    "--from");
      }
      modelfile = parse_modelfile(read_text_file(file_, kMaxModelfileBytes));
      if (file_ != "-") folder_ = fs::path(file_).parent_path();
    }
    if (!system_.empty()) modelfile.settings.system = system_;
    modelfile.settings.parameters =
        merged_model_parameters(modelfile.settings.parameters, parameters_to_json(parameters_));
    return modelfile;
  }

  json::object request_of(const Modelfile& modelfile) const {
    const ModelSettings& settings = modelfile.settings;
    json::object request = {{"model", name_}, {"stream", true}};
    if (settings.system) request["system"] = *settings.system;
    if (settings.chat_template) request["template"] = *settings.chat_template;
    if (settings.license_text) request["license"] = *settings.license_text;
    if (!settings.parameters.empty()) request["parameters"] = settings.parameters;
    if (!quantize_.empty()) request["quantize"] = quantize_;
    if (!modelfile.least_version.empty()) request["requires"] = modelfile.least_version;
    json::array messages;
    for (const ModelMessage& message : settings.messages) {
      messages.push_back({{"role", message.role}, {"content", message.content}});
    }
    if (!messages.empty()) request["messages"] = std::move(messages);
    return request;
  }

  /// A model of the daemon's, or files that it is sent.
  void add_sources(const Modelfile& modelfile, DaemonClient& daemon, json::object& request,
                   Terminal& terminal) const {
    std::vector<fs::path> paths;
    for (const std::string& from : modelfile.from) {
      if (const auto path = file_of(from, folder_)) {
        paths.push_back(*path);
      } else if (modelfile.from.size() == 1) {
        request["from"] = from;
      } else {
        throw Error(ErrorCode::kUsage, "FROM " + from +
                                           " is no file: a model is made from one model, or from "
                                           "the files that it has");
      }
    }
    json::object files;
    for (const fs::path& path : paths) {
      const std::string name = path.filename().string();
      if (files.contains(name)) {
        throw Error(ErrorCode::kUsage, "two files are called " + name + ": rename one of them");
      }
      files[name] = send_file(path, daemon, terminal);
    }
    if (!files.empty()) request["files"] = std::move(files);
  }

  /// Its digest, once the daemon has it.
  std::string send_file(const fs::path& path, DaemonClient& daemon, Terminal& terminal) const {
    const auto file = std::make_shared<MappedFile>(MappedFile::open(path.string()));
    const std::string name = printable(path.filename().string());
    const std::string digest = digest_of(*file, name, terminal);
    const std::string there = "/api/blobs/" + digest;
    if (daemon.exists(there)) return digest;
    ProgressBar bar(terminal);
    HttpUpload upload;
    upload.size = file->bytes().size();
    upload.read = [&](uint64_t offset, char* out, size_t capacity) {
      const size_t count = std::min<size_t>(capacity, file->bytes().size() - offset);
      std::memcpy(out, file->bytes().data() + offset, count);
      file->release(file->bytes().subspan(offset, count));
      bar.show("sending " + name, offset + count, file->bytes().size());
      return count;
    };
    daemon.upload(there, std::move(upload), cancellation_);
    return digest;
  }

  std::string digest_of(const MappedFile& file, const std::string& name, Terminal& terminal) const {
    const std::span<const std::byte> bytes = file.bytes();
    Sha256 hasher;
    for (size_t at = 0; at < bytes.size(); at += kHashPiece) {
      cancellation_.throw_if_cancelled();
      const auto piece = bytes.subspan(at, std::min(kHashPiece, bytes.size() - at));
      hasher.update(piece);
      terminal.status(
          fmt::format("reading {} {} %", name, (at + piece.size()) * 100 / bytes.size()));
    }
    terminal.status("");
    return hasher.digest().str();
  }

  void follow(DaemonClient& daemon, const json::object& request, Terminal& terminal) const {
    ProgressBar bar(terminal);
    std::string shown;
    const auto take = [&](const json::object& event, std::string_view) {
      if (const json::value* warnings = event.if_contains("warnings")) {
        for (const json::value& warning : warnings->as_array()) {
          terminal.note("warning: " + printable(warning.as_string()));
        }
      }
      const json::value* status = event.if_contains("status");
      if (status == nullptr || !status->is_string()) return;
      const std::string text = printable(status->get_string());
      const json::value* total = event.if_contains("total");
      const json::value* completed = event.if_contains("completed");
      if (total != nullptr && total->to_number<uint64_t>() > 0) {
        const uint64_t done = completed == nullptr ? 0 : completed->to_number<uint64_t>();
        return bar.show(text, done, total->to_number<uint64_t>());
      }
      if (text == shown || text == "success") return;
      shown = text;
      terminal.err_is_tty() ? terminal.status(text) : terminal.note(text);
    };
    daemon.stream("/api/create", request, take, cancellation_);
  }

  std::string name_;
  std::string file_;
  std::string from_;
  std::string quantize_;
  std::string system_;
  Parameters parameters_;
  fs::path folder_;  // that paths are seen from
  CancellationToken cancellation_;
};

}  // namespace

std::unique_ptr<Command> make_create_command() {
  return std::make_unique<CreateCommand>();
}

}  // namespace omg::cli
