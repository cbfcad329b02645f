// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/line_reader.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <histedit.h>
#include <system_error>

namespace omg::cli {
namespace {

constexpr int kHistoryLines = 1000;
constexpr const wchar_t* kPasteEnd = L"\x1b[201~";
/// Terminals that know it mark pasted text with ESC [ 200 ~ and ESC [ 201 ~.
constexpr const char* kPasteOn = "\x1b[?2004h";
constexpr const char* kPasteOff = "\x1b[?2004l";
constexpr size_t kMaxPaste = 4 << 20;

struct EndEditLine {
  void operator()(EditLine* edit) const { ::el_end(edit); }
};
struct EndHistory {
  void operator()(History* history) const { ::history_end(history); }
};

/// Takes a paste, line ends included, into the line.
unsigned char paste(EditLine* edit, int) {
  const std::wstring end = kPasteEnd;
  std::wstring text;
  wchar_t c;
  while (text.size() < kMaxPaste && ::el_wgetc(edit, &c) == 1) {
    text += c == L'\r' ? L'\n' : c;
    if (text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0) {
      text.resize(text.size() - end.size());
      break;
    }
  }
  while (!text.empty() && text.back() == L'\n') text.pop_back();
  if (text.empty()) return CC_NORM;
  ::el_winsertstr(edit, text.c_str());
  return CC_REDISPLAY;
}

}  // namespace

struct LineReader::State {
  std::unique_ptr<EditLine, EndEditLine> edit;
  std::unique_ptr<History, EndHistory> history;
  std::string history_path;
  std::vector<std::string> completions;
  std::string prompt;
  std::string dropped_line;  ///< what stood in the line when Ctrl-C was pressed
  bool interrupted = false;
  bool history_enabled = true;

  static State& of(EditLine* edit) {
    void* data = nullptr;
    ::el_get(edit, EL_CLIENTDATA, &data);
    return *static_cast<State*>(data);
  }

  /// Ctrl-C is a key here: as a signal it would be lost when it came just before the read that it
  /// should end.
  static unsigned char interrupt(EditLine* edit, int) {
    State& state = of(edit);
    const LineInfo* line = ::el_line(edit);
    state.dropped_line.assign(line->buffer, line->lastchar);
    state.interrupted = true;
    return CC_EOF;
  }

  /// Ctrl-Z, which is a key for the same reason.
  static unsigned char suspend(EditLine* edit, int) {
    ::el_set(edit, EL_PREP_TERM, 0);
    std::raise(SIGTSTP);
    ::el_set(edit, EL_PREP_TERM, 1);
    return CC_REDISPLAY;
  }

  static char* show_prompt(EditLine* edit) { return of(edit).prompt.data(); }

  /// Completes the word before the cursor as far as all candidates agree.
  static unsigned char complete(EditLine* edit, int) {
    const LineInfo* line = ::el_line(edit);
    const std::string typed(line->buffer, line->cursor);
    std::string common;
    size_t candidates = 0;
    for (const std::string& word : of(edit).completions) {
      if (typed.empty() || word.compare(0, typed.size(), typed) != 0) continue;
      if (candidates++ == 0) {
        common = word;
      } else {
        size_t same = 0;
        while (same < common.size() && same < word.size() && common[same] == word[same]) ++same;
        common.resize(same);
      }
    }
    if (candidates == 0) return CC_REFRESH_BEEP;
    std::string rest = common.substr(typed.size());
    if (candidates == 1) rest += ' ';
    if (rest.empty()) return CC_REFRESH_BEEP;
    ::el_insertstr(edit, rest.c_str());
    return CC_REFRESH;
  }
};

LineReader::LineReader(const std::string& history_path, std::vector<std::string> completions)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.history_path = history_path;
  state.completions = std::move(completions);
  state.edit.reset(::el_init("omg", stdin, stdout, stderr));
  state.history.reset(::history_init());
  EditLine* edit = state.edit.get();
  HistEvent event;
  ::history(state.history.get(), &event, H_SETSIZE, kHistoryLines);
  ::history(state.history.get(), &event, H_SETUNIQUE, 1);
  if (!history_path.empty()) {
    ::history(state.history.get(), &event, H_LOAD, history_path.c_str());
  }
  ::el_set(edit, EL_CLIENTDATA, &state);
  ::el_set(edit, EL_PROMPT, &State::show_prompt);
  ::el_set(edit, EL_EDITOR, "emacs");
  ::el_set(edit, EL_SIGNAL, 0);
  ::el_set(edit, EL_HIST, ::history, state.history.get());
  ::el_set(edit, EL_ADDFN, "omg-paste", "Take pasted text as one", paste);
  ::el_set(edit, EL_SETTY, "-d", "-isig", nullptr);
  ::el_set(edit, EL_ADDFN, "omg-interrupt", "Give up the line", State::interrupt);
  ::el_set(edit, EL_ADDFN, "omg-suspend", "Give the terminal back", State::suspend);
  ::el_set(edit, EL_ADDFN, "omg-complete", "Complete a command", State::complete);
  const char* bindings[][2] = {
      {"\\e[200~", "omg-paste"},    {"\\t", "omg-complete"},      {"^C", "omg-interrupt"},
      {"^Z", "omg-suspend"},        {"^R", "em-inc-search-prev"}, {"\\e[3~", "ed-delete-next-char"},
      {"\\e[1;5C", "em-next-word"}, {"\\e[1;5D", "ed-prev-word"}, {"\\e[H", "ed-move-to-beg"},
      {"\\e[F", "ed-move-to-end"},  {"^W", "ed-delete-prev-word"}};
  for (const auto& [keys, function] : bindings) {
    ::el_set(edit, EL_BIND, keys, function, nullptr);
  }
  ::el_source(edit, nullptr);
}

LineReader::~LineReader() {
  if (!state_->history_enabled || state_->history_path.empty()) return;
  HistEvent event;
  ::history(state_->history.get(), &event, H_SAVE, state_->history_path.c_str());
}

LineReader::Result LineReader::read(const std::string& prompt) {
  State& state = *state_;
  state.prompt = prompt;
  state.interrupted = false;
  ::el_set(state.edit.get(), EL_PREP_TERM, 1);  // before the prompt asks for keys
  ::el_resize(state.edit.get());
  std::fputs(kPasteOn, stdout);
  std::fflush(stdout);
  int count = 0;
  const char* line = ::el_gets(state.edit.get(), &count);
  std::fputs(kPasteOff, stdout);
  std::fflush(stdout);
  if (state.interrupted) return {Status::kInterrupted, std::move(state.dropped_line)};
  if (line == nullptr || count <= 0) return {Status::kEnd, ""};
  std::string text(line, static_cast<size_t>(count));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (state.history_enabled && !text.empty()) {
    HistEvent event;
    ::history(state.history.get(), &event, H_ENTER, text.c_str());
  }
  return {Status::kLine, std::move(text)};
}

void LineReader::set_history_enabled(bool enabled) {
  state_->history_enabled = enabled;
}

std::string default_history_path() {
  std::filesystem::path folder;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state == '/') {
    folder = state;
  } else if (const char* home = std::getenv("HOME"); home && *home == '/') {
    folder = std::filesystem::path(home) / ".local" / "state";
  } else {
    return "";
  }
  folder /= "ohmygpu";
  std::error_code status;
  const bool made = std::filesystem::create_directories(folder, status);
  if (status) return "";
  if (made) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, status);
  }
  return folder / "history";
}

}  // namespace omg::cli
