// Which machine to rent: offers, wishes and a person in, the offers to try in order out. The one
// way in for all commands that rent or show what can be rented.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/config/environment.h"
#include "core/provider/offer_choice.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

// Prints the question and returns the line that was typed, nullopt at its end; empty where there is
// nobody to ask.
using AskLine = std::function<std::optional<std::string>(const std::string& question)>;

// Asks at this process's terminal. Empty when standard input is none.
AskLine ask_at_terminal();

struct Selector {
  bool yes = false;    // take the cheapest unasked
  bool look = false;   // of a plan: take the cheapest for its figures; nothing is rented by it
  bool named = false;  // type and region were given, which is how one is named unasked (row F-14)
  AskLine ask = {};
  std::function<void(const std::string& table)> show = {};  // before the question
};

struct RentalChoice {
  // In the order to try: the chosen one, then what may take its place when it is taken: of the same
  // provider, GPU and count, cheapest first, and not much dearer (kDearer), never above the wished
  // price.
  std::vector<Offer> offers;
  std::vector<Offer> fitting;  // all that fulfil the wishes, the cheapest first
  bool by_person = false;      // picked at the prompt, or named: yes was said to its price
};

// A place-taker costs at most this much of the chosen offer's price.
constexpr double kDearer = 1.25;

// Errors: no_capacity (nothing fits; the hint says what giving up each wish would find), guard
// (several fit, none is named, and there is nobody to ask; or the answer was q).
Result<RentalChoice> choose_rental(const std::vector<Offer>& all, const OfferWish& wish,
                                   int retry_offers, const Selector& selector);

// The same from the cloud that `wish.provider` names (all there are keys for when it is empty).
// One request a cloud and region. Errors: also those of clouds_of and of the cloud itself.
Result<RentalChoice> rental_from_clouds(const Environment& environment, const OfferWish& wish,
                                        int retry_offers, const Selector& selector, Clock& clock);

// Which one: the only one; that of the answer to "Select instance [1-N] or 'q' to quit: "; without
// anybody to ask the first with `yes`, else guard.
Result<Offer> select_offer(const std::vector<Offer>& offers, bool yes, const AskLine& ask);

// "no offer fits, of 31 that there are", with what each wish costs as the hint.
Error nothing_fits(const std::vector<Offer>& all, const OfferWish& wish);

// The table of row F-13: `# Provider Region GPUs VRAM Price/hr NVLink`, with `wide` more behind
// them; `more` are further columns, a heading and then a text for each offer. Prices are per
// instance-hour; a last line says so.
std::string offers_table(const std::vector<Offer>& offers, bool wide,
                         const std::vector<std::vector<std::string>>& more = {});

// The flags of `launch` that name this offer alone.
std::string offer_flags(const Offer& offer);

}  // namespace mayfly
