"""What columns are called in published collections, and what folder names say: the vocabulary of the reader."""

from __future__ import annotations

import re
import unicodedata


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# The first are the label wherever they stand; the second where nothing else is; the third are coarse (benign or
# malignant) and give way.
LABELS = (
    _set("label labels cls class classes class_name classname label_name"),
    _set(
        "dx diagnosis diagnostic diagnose diagnoses diagnostico diagnosi diagnoza diagnosis_label diagnosis_name "
        "diagnosis_class diagnostic_label clinical_diagnosis final_diagnosis histological_diagnosis disease "
        "disease_name disease_label skin_condition skin_disease condition lesion_type lesion_class type_of_lesion "
        "final_diagnosis_name dx_final final_dx dx_clinical clinical_dx dx_histo histo_dx main_diagnosis "
        "primary_diagnosis principal_diagnosis hauptdiagnose diagnostico_final diagnosis_text rozpoznanie tani "
        "tan\u0131 "
        "\u0434\u0438\u0430\u0433\u043d\u043e\u0437 \u8a3a\u65ad \u8a3a\u65ad\u540d \u8bca\u65ad "
        "category pathology histology histopathology ground_truth groundtruth gt gt_label "
        "weighted_skin_condition_label"
    ),
    _set("target benign_malignant malignant malignancy is_malignant is_melanoma melanoma y"),
)
HIERARCHY = re.compile(r"^(diagnosis|dx|iddx|label|class|diagnostic|disease)_?(\d)$")

_WHO = (
    r"(anon\w*_)?((id|n|no|nr|num|numero|numer|codice|codigo)_)?((do|de|del|du|di)_)?({})"
    r"(_?(id|ids|no|nr|num|number|code|hash|key|uid|identifier|pseudonym|nummer|numero|codigo|codice))?"
)
GROUPS = {
    "group": re.compile(r"^groups?$"),
    "patient": re.compile(
        "^"
        + _WHO.format(
            "patient(s|en|in)?|pat|subject|participant|person|individual|paciente|paziente|pasient|pacjent\\w*|proband|hasta|record"
        )
        + r"$|^pid$|^mrn$|^medical_record_number$|^hospital_(no|nr|number|id)$|^(nhc|ipp)$|^numero_de_dossier$"
        + r"|^historia_clinica$|^(patient(en)?|pat)_?name$|^(患者|病人|номер_?\s*пациент|пациент).*$"
    ),
    "case": re.compile("^" + _WHO.format("case|fall|caso|cas|aufnahme|studien") + "$"),
    "lesion": re.compile("^" + _WHO.format("lesion|mole|naevus|nevus|spot") + "$|^lesion_?group(ing)?s?$"),
}  # fmt: skip

SPLIT_COLUMNS = _set(
    "split set subset partition fold_name data_split dataset_split usage phase cohort datensatz menge jeu conjunto"
)
PERHAPS_SPLITS = re.compile(
    r"^(is_|in_)?(train|training|val|valid|validation|test|fold|cv_fold|kfold|holdout)(_?set|_?id|_?no)?$"
)
SPLIT_WORDS = {
    "train": "train", "training": "train", "tr": "train", "trn": "train", "derivation": "train",
    "apprentissage": "train", "entrenamiento": "train", "treino": "train", "addestramento": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "validate": "val", "tune": "val", "tuning": "val",
    "validierung": "val", "validacion": "val", "validacao": "val", "validazione": "val",
    "test": "test", "testing": "test", "tst": "test", "eval": "test", "holdout": "test",
    "prufung": "test", "prueba": "test", "teste": "test",
}  # fmt: skip

CLINICAL = {
    "age": _set("age age_approx age_years age_at_diagnosis patient_age age_group alter lebensalter edad idade eta"),
    "sex": _set("sex gender sex_at_birth patient_sex sexo sexe sesso geschlecht"),
    "site": _set(
        "site localization localisation location anatom_site_general anatom_site_general_challenge anatom_site "
        "anatom_site_1 anatomical_site anatomic_site anatomy_site body_site body_part body_region region "
        "lokalisation koerperregion localizacion localizacao localizzazione"
    ),
    "skin_type": _set(
        "skin_type skintype fitzpatrick fitspatrick fitzpatrick_scale fitzpatrick_skin_type fitzpatrick_type "
        "phototype skin_phototype fst skin_tone skin_tone_class"
    ),
    "modality": _set("modality image_type imaging_modality acquisition"),
    "confirmation": _set("dx_type diagnosis_confirm_type biopsed biopsied concomitant_biopsy confirmation"),
    "origin": _set("dataset source attribution institution hospital centre center"),
}
AGAIN = " (second table)"  # after the name of a column that another table has with other values
MASK_COLUMNS = _set("mask mask_path segmentation segmentation_path lesion_mask")
NOT_IMAGES = re.compile(r"(^|_)(mask|segmentation|url|uri|href|license|attribution)($|_)")
IMAGE_COLUMNS = re.compile(
    r"(^|_)(image|images|img|imgs|file|filename|filepath|path|photo|foto|picture|bild|isic|isic_id|md5hash)\d*(_|$)"
)
NO_COLUMN = re.compile(r"^(unnamed_?\d*|index|level_\d+|column_\d+|redcap_\w+|\w+_complete)$")
SUBMISSIONS = re.compile(r"sample_?submission|submission_?format|example_?submission")

# Folders that hold images without saying what is on them.
STRUCTURE = _set(
    "image images img imgs picture pictures pic pics photo photos photograph photographs jpeg jpg png tif tiff "
    "bmp webp dcm dicom dicoms heic raw input inputs data dataset datasets files file all original originals orig "
    "full part parts batch batches chunk shard fold folder subset set upload uploads download downloads export "
    "exports archive release new old copy backup tmp temp unsorted thumb thumbs thumbnail thumbnails preview "
    "small large medium resized cropped crop crops resize scaled size hr lr highres lowres px x y hd isic "
    "ham10000 bcn20000 pad ufes derm7pt ph2 scin ddi milk10k task challenge v version camera device session visit "
    "year month day date study site clinic clinics clinical clinically dermoscopy dermoscopic dermatoscopy "
    "dermatoscopic derm macro macroscopic overview closeup close up smartphone phone mobile microscope polarized "
    "nonpolarized left right before after 2d 3d rgb hospital center centre klinik dump collected cleaned clean "
    "processed preprocessed augmented unlabeled unlabelled labelled labeled public private jpegs pngs bilder "
    "fotos foto bild imagenes imagens immagini zip extracted skin lesion lesions patient patients "
    "camera roll screenshots whatsapp papierkorb neu neue face head neck back trunk torso arm arms leg legs "
    "hand hands foot feet "
    "ward wards station ambulanz ambulance abteilung department dept unit room praxis servicio reparto "
    "subject subjects supplementary dcim result results output outputs plot plots figure figures log logs report "
    "reports"
)
# Beginnings of words in diagnoses, and whole words: enough to tell which of two levels of folders is of classes.
DIAGNOSES = re.compile(
    r"(^|[\W\d_])((melano|n(a|e|ae)?e?v(us|i|o)|carcino|karzino|keratos|kerato[ms]|dermatofibro|angio|h(a|e|ae)mangio|lenti|"
    r"benign|malign|b(o|ö)sartig|gutartig|psoria|e[ck]zem|a[ck]ne|rosace|dermatit|urti[ck]|tinea|mycos|my[ck]o|wart|verruc|"
    r"vitili|lupus|pemphi|scabi|herpes|impeti|mollus|seborr|bowen|kaposi|lympho|sarco|cyst|alopec|monkeypox|mpox|"
    r"chickenpox|measles|cellulit|folliculit|lichen)|(mel|nv|bcc|scc|ak|akiec|bkl|df|vasc|ack|sek|healthy|normal|cancer)\b)"
)
MODALITIES = _set(
    "clinic clinical clinically klinik klinisch clinica clinico clinique macro macroscopic makro overview closeup "
    "photo foto derm dermo dermoscopy dermoscopic dermatoscopy dermatoscopic dermatoskopie dermoskopie dermoscopia "
    "dermatoscopia dermoscopie dermatoscope dermoscope polarized nonpolarized"
)
MASKS = re.compile(
    r"(^|[_\W])(segmentations?|masks?|seg|groundtruth|lesion_mask|lesion|roi\d*|r\d+_label\d+|contours?|label_?map|attribute(_\w+)?)$"
)
MASK_FOLDERS = re.compile(r"(^|[_\W])(gt|ground_?truths?|segmentations?|masks?|annotations?|attributes?)($|[_\W\d])")
MASK_FIRST = re.compile(r"^(masks?|seg|segmentation)[_\W]+")
SUPERPIXELS = re.compile(r"(^|[_\W])super_?pixels?($|[_\W])")


def plain(name: str) -> str:
    """A name for comparing: lower case, without accents, words joined by `_`."""
    text = unicodedata.normalize("NFKD", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()))
    text = "".join(c for c in text if not unicodedata.combining(c)).lower()
    return re.sub(r"[\W_]+", "_", text).strip("_")


def words(name: str) -> list[str]:
    """The words and numbers of a folder's name, in lower case."""
    return re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def split_of(name: str) -> str:
    """The split that a file's or folder's name tells; "" where it tells none, or several."""
    found = {SPLIT_WORDS[word] for word in words(name) if word in SPLIT_WORDS and word not in ("tr", "eval", "dev")}
    return found.pop() if len(found) == 1 else ""


def names_diagnosis(name: str) -> bool:
    """Whether a folder's or table's name has a word of some diagnosis in it."""
    return bool(DIAGNOSES.search(plain(name).replace("_", " ")))


def names_somebody(name: str) -> bool:
    """Whether a folder's name is `patient_12`, `Case B` or the like."""
    first, second = [*words(name), "", ""][:2]
    one = any(GROUPS[kind].match(first) for kind in ("patient", "case", "lesion"))
    return one and (second.isdigit() or len(second) == 1)


def says_nothing(name: str) -> bool:
    """Whether a folder's name is only of how images are kept: `images`, `imgs_part_1`, `train`, `2019`.

    A bare number may be a class: it is not.
    """
    if re.fullmatch(r"(19|20)\d\d([-_.]?\d\d){0,2}|\d{3}[A-Z_]{5}", name):  # dates; what cameras call folders
        return True
    if names_somebody(name):
        return False
    said = [word for word in words(name) if not word.isdigit()]
    said = [word for word in said if len(word) > 1] or said  # `hospital_a`
    return bool(said) and all(word in STRUCTURE or word in SPLIT_WORDS for word in said) or not words(name)
