// Choosing among offers: what is wished for, what fits, and - when nothing does - what each wish
// costs. Pure; sorting two thousand takes well under a millisecond.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/provider/provider.h"

namespace mayfly {

// Empty or nullopt: anything will do. An offer that does not say how it is about a wish (a speed, a
// country) does not fulfil it.
struct OfferWish {
  std::vector<std::string> gpus;  // any of them, in any spelling (gpu_name.h)
  std::vector<int> counts;        // any of them
  std::optional<Usd> max_price;   // per instance-hour
  std::string provider;
  std::string cloud;
  std::string region;  // also the beginning of one: "us" is all of "us-east-1"
  std::string zone;
  std::string instance_type;
  std::string country;
  std::string city;
  std::optional<double> min_upload_mbps;
  std::optional<double> min_download_mbps;
  std::optional<bool> nvlink;
  std::optional<bool> spot;
  std::optional<int> disk_gb;  // a disk that is made with the machine is made so large
  int work_disk_gb = 0;        // else that one has room for so much beside its image
  // What the work itself asks for, such as memory; `fits_flag` names it among the wishes.
  std::function<bool(const Offer&)> fits = {};
  std::string fits_flag = {};
};

// Those that fulfil every wish, with the disks that are wished for, the cheapest per instance-hour
// first; of one price, the one with more GPU memory in all first, then by name, so that the order
// is always the same.
std::vector<Offer> choose_offers(const std::vector<Offer>& offers, const OfferWish& wish);

// The same with a disk of that size and the price that goes with it, where it is made with the
// machine; another one is what it is.
Offer with_disk(Offer offer, int disk_gb);

// What would be there if some wishes were given up.
struct Relaxed {
  std::string given_up;  // as flags: "--max-price 2", "--gpu B200 and --region us"
  std::size_t offers = 0;
  Offer cheapest;
};

// For each single wish that alone stands in the way, what giving it up would find; if no single one
// does, for each pair. Empty: nothing is left even then.
std::vector<Relaxed> relaxed_offers(const std::vector<Offer>& offers, const OfferWish& wish);

// The same in sentences, one a line, for the hint of an error.
std::string relaxed_text(const std::vector<Relaxed>& relaxed);

// The wishes as flags, with commas between them: "--gpu B200, --region us"; "" if there are none.
std::string wishes_text(const OfferWish& wish);

// "8xH100", "2xA100"; "CPU" where there is no GPU.
std::string gpus_text(const Offer& offer);

}  // namespace mayfly
