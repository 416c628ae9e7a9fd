// ChaCha20 (RFC 8439) for Lanes::kCount ring elements at once: lane l runs the stream of element first + l.
// The keystream needs no transposition: word w of every lane is row w, which is how a chunk lies in memory.

inline void quarter_round(Lanes::Word& a, Lanes::Word& b, Lanes::Word& c, Lanes::Word& d) {
  a = Lanes::add(a, b);
  d = Lanes::rotate_left<16>(Lanes::bit_xor(d, a));
  c = Lanes::add(c, d);
  b = Lanes::rotate_left<12>(Lanes::bit_xor(b, c));
  a = Lanes::add(a, b);
  d = Lanes::rotate_left<8>(Lanes::bit_xor(d, a));
  c = Lanes::add(c, d);
  b = Lanes::rotate_left<7>(Lanes::bit_xor(b, c));
}

// Keystream words 16 * counter ... 16 * counter + 15 of each lane; x[w] holds word w of every lane.
inline void chacha20_rows(const uint32_t key[8], uint32_t counter, Lanes::Word element,
                          Lanes::Word x[kBlockWords]) {
  const Lanes::Word zero = Lanes::broadcast(0);
  for (size_t i = 0; i < 4; ++i) x[i] = Lanes::broadcast(kChaChaConstants[i]);
  for (size_t i = 0; i < 8; ++i) x[4 + i] = Lanes::broadcast(key[i]);
  x[12] = Lanes::broadcast(counter);
  x[13] = element;
  x[14] = zero;
  x[15] = zero;
  for (int round = 0; round < 10; ++round) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    quarter_round(x[0], x[5], x[10], x[15]);
    quarter_round(x[1], x[6], x[11], x[12]);
    quarter_round(x[2], x[7], x[8], x[13]);
    quarter_round(x[3], x[4], x[9], x[14]);
  }
  for (size_t i = 0; i < 4; ++i) x[i] = Lanes::add(x[i], Lanes::broadcast(kChaChaConstants[i]));
  for (size_t i = 0; i < 8; ++i) x[4 + i] = Lanes::add(x[4 + i], Lanes::broadcast(key[i]));
  x[12] = Lanes::add(x[12], Lanes::broadcast(counter));
  x[13] = Lanes::add(x[13], element);
}
