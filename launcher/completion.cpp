#include "launcher/completion.h"

#include <algorithm>

#include "launcher/command_line.h"
#include "launcher/verbs.h"

namespace mayfly {

namespace {

std::string flags_of(const Verb& verb) {
  std::string text;
  for (const std::string& name : flag_names_of(verb)) {
    text += (text.empty() ? "" : " ") + name;
  }
  return text;
}

std::string bash_script() {
  std::string script =
      "_mayfly_launch() {\n  local word=\"${COMP_WORDS[COMP_CWORD]}\" verb=run candidate words\n"
      "  for candidate in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case \"$candidate\" in\n";
  std::string names, cases;
  for (const Verb& verb : launch_verbs()) {
    const std::string name(verb.name);
    names += (names.empty() ? "" : "|") + name;
    cases += "    " + name + ") words=\"" + flags_of(verb) + "\" ;;\n";
  }
  std::string spaced = names;
  std::replace(spaced.begin(), spaced.end(), '|', ' ');
  script += "      " + names + ") verb=$candidate; break ;;\n    esac\n  done\n";
  script += "  case \"$verb\" in\n" + cases + "  esac\n";
  script += "  [ \"$COMP_CWORD\" = 1 ] && words=\"" + spaced + " $words\"\n";
  script += "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n";
  script += "  [ \"${#COMPREPLY[@]}\" = 0 ] && COMPREPLY=($(compgen -f -- \"$word\"))\n}\n";
  script += "complete -o filenames -F _mayfly_launch launch\n";
  return script;
}

std::string fish_script() {
  std::string script;
  for (const Verb& verb : launch_verbs()) {
    script += "complete -c launch -n __fish_use_subcommand -a " + std::string(verb.name) + " -d '" +
              std::string(verb.summary.substr(0, verb.summary.find('.'))) + "'\n";
    for (const std::string& name : flag_names_of(verb)) {
      const std::string condition =
          verb.name == "run" ? ""
                             : " -n '__fish_seen_subcommand_from " + std::string(verb.name) + "'";
      script += "complete -c launch" + condition +
                (name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1)) + "\n";
    }
  }
  return script;
}

}  // namespace

Result<std::string> completion_script(const std::string& shell) {
  if (shell == "bash") return bash_script();
  // zsh reads bash's completions through its own adapter.
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script();
  if (shell == "fish") return fish_script();
  return Error{ErrorKind::usage,
               "completion is there for bash, zsh and fish, not for \"" + shell + "\""};
}

}  // namespace mayfly
